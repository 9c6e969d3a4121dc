UPDATE orders SET total = total * 2;
