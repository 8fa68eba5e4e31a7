"""The street's style: models from continuous shapes, painted charts, weather, traffic, and what a cheap camera sees."""
