CREATE TRIGGER orders_coupon_stays BEFORE UPDATE OF coupon ON orders WHEN old.coupon IS NOT NULL
BEGIN
    SELECT raise(ABORT, 'a coupon that was used stays used');
END;
