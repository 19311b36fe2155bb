"""What the API promises: operations beside their routes, shapes of answers, codes of errors, and the OpenAPI document of them."""
