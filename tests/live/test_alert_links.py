"""Who reads of an alert sits at another machine more often than not: where ours listens for them, the link leads there."""

import asyncio
from pathlib import Path

from tests.live.program import Program
from tests.live.test_alerts import RULE, Hook
from tests.waiting import until


async def test_the_link_of_an_alert_can_be_followed_elsewhere_and_holds_no_token(tmp_path: Path) -> None:
    async with Hook() as hook:
        rules = f'[alerts.rules]\nup = {{ rule = "{RULE}", notify = ["hook"] }}\n[alerts.targets]\nhook = {{ url = "json://{hook.address}/" }}\n'
        (tmp_path / "tapeline.toml").write_text(rules)
        with Program("run", "binance:BTC-USDT", "--simulate", "--host", "0.0.0.0", "--port", 0, cwd=tmp_path) as program:
            said = await asyncio.to_thread(program.hear, r"from other machines.*?: (\S+)/\?token=(\S+)")
            await until(lambda: hook.bodies)
    link, token = said.groups()
    assert hook.bodies[0]["link"] == link
    assert f"page: {link}" in hook.bodies[0]["message"]
    assert token not in str(hook.bodies)
