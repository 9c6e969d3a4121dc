CREATE VIEW order_total AS
    SELECT o.id, o.customer, sum(l.quantity * l.cents) AS cents
    FROM orders o JOIN order_line l ON l.orders = o.id
    GROUP BY o.id, o.customer;

CREATE VIEW best_customer AS
    SELECT c.id, c.name, sum(t.cents) AS cents
    FROM customer c JOIN order_total t ON t.customer = c.id
    GROUP BY c.id, c.name;
