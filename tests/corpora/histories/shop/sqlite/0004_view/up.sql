CREATE VIEW turnover AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
