"""What features are about."""

from feast import Entity, ValueType

symbol = Entity(name="symbol", value_type=ValueType.STRING, description="Instrument, under the name it trades by today")
market = Entity(name="market", value_type=ValueType.STRING, description="Index that stands for the market")
