"""PostgreSQL's kinds of objects. Each module reads one group of them and knows how they are made, unmade and changed."""
