create table customer (id integer primary key, name text not null);
insert into customer (name) values ('Ada'), ('Bob'), ('Cyd');
