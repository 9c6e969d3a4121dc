CREATE VIEW order_total AS
    SELECT o.id, o.customer, sum(l.quantity * l.cents) * (100 - k.percent) / 100 AS cents
    FROM orders o JOIN order_line l ON l.orders = o.id LEFT JOIN coupon k ON k.code = o.coupon
    GROUP BY o.id, o.customer, k.percent;

CREATE VIEW best_customer AS
    SELECT c.id, c.full_name, sum(t.cents) AS cents
    FROM customer c JOIN order_total t ON t.customer = c.id
    GROUP BY c.id, c.full_name;
