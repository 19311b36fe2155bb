"""Metrics: figures of a market that are sampled while it runs.

`base.Metric` is the contract, `registry` finds one by its name, `store` keeps what rolling windows reach back to, `analytics` makes
the samples of one instrument. One file a family of metrics; `per_update` makes those that go out with every book update.
"""
