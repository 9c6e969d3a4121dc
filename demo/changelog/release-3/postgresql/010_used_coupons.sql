CREATE FUNCTION coupon_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.coupon IS NOT NULL THEN
        RAISE EXCEPTION 'a coupon that was used stays used';
    END IF;
    RETURN new;
END;
$$;
CREATE TRIGGER orders_coupon_stays BEFORE UPDATE OF coupon ON orders
    FOR EACH ROW EXECUTE FUNCTION coupon_stays();
