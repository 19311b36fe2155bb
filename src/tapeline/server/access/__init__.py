"""Who may ask: the guard before every route, tokens and the form for them, rates, headers, and the connections themselves."""
