"""A typed client of the forecast endpoint.

Examples
--------
::

    from serving.client import Client

    with Client("http://127.0.0.1:3000", key="ql_...") as client:
        answer = client.predict("AAPL", horizon_sessions=1)
        print(answer.prediction.p10, answer.prediction.p50, answer.prediction.p90)
        for update in client.stream(["AAPL", "IBM"]):
            said = update.prediction
            print(update.symbol, said.outlook, said.target_price, said.currency, said.price_basis, said.target_session)
"""

from serving.api import RefusedError
from serving.client.client import STORED, Client
from serving.client.connection import MOST_WAIT_SECONDS
from serving.client.history import HistoryCalls
from serving.client.updates import Updates

__all__ = ["MOST_WAIT_SECONDS", "STORED", "Client", "HistoryCalls", "RefusedError", "Updates"]
