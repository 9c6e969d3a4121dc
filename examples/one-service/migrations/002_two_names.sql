alter table customer add column first_name text;
update customer set first_name = name;
alter table customer drop column name;
