"""Plans over random schemas: run step by step against a model of a database, none breaks a dependency."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tagback.catalog import Action, Alteration, Catalog, Loss, LossKind, ObjectId, SchemaObject, Step, UnmanagedObject
from tagback.plan import Plan, plan


class Thing(SchemaObject, frozen=True, kw_only=True, tag="thing"):
    """An object that needs others; it may know how to change in place, hold data, or be part of another."""

    text: str = ""
    whole: str = ""
    alterable: bool = False
    holds_data: bool = False

    @property
    def part_of(self) -> ObjectId | None:
        return named(self.whole) if self.whole else None

    @property
    def carries_data(self) -> bool:
        return self.holds_data

    def create(self) -> tuple[Step, ...]:
        return (Step(f"create {self.id.name[0]}", self.id, Action.CREATE),)

    def drop(self) -> tuple[Step, ...]:
        losses = (Loss(LossKind.TABLE, self.id),) if self.holds_data else ()
        return (Step(f"drop {self.id.name[0]}", self.id, Action.DROP, destroys=losses),)

    def alter(self, after: SchemaObject, live: Catalog, target: Catalog) -> Alteration | None:
        if not self.alterable:
            return None
        return Alteration((Step(f"alter {self.id.name[0]}", self.id, Action.ALTER),), frozenset({self.id}))


def named(name: str) -> ObjectId:
    return ObjectId("thing", (name,))


def catalog(things: list[Thing], needs: dict[str, set[str]]) -> Catalog:
    return Catalog(
        engine="none",
        major="1",
        objects={t.id: t for t in things},
        dependencies={named(n): frozenset(map(named, on)) for n, on in needs.items()},
    )


class Database:
    """What is there while a plan runs; it refuses what a server would refuse."""

    def __init__(self, live: Catalog, target: Catalog) -> None:
        self.target = target
        self.objects = dict(live.objects)
        self.needs = {i: live.dependencies.get(i, frozenset()) for i in live.objects}

    def run(self, step: Step) -> None:
        dependents = {i for i, on in self.needs.items() if step.object in on and i != step.object}
        wanted = self.target.objects.get(step.object)
        if step.action is Action.CREATE:
            assert step.object not in self.objects, f"{step.sql}: is there already"
        else:
            assert step.object in self.objects, f"{step.sql}: isn't there"
            parts = {i for i, o in self.objects.items() if o.part_of == step.object}
            hanging = dependents - (parts if step.action is Action.DROP else set())
            assert not hanging, f"{step.sql}: {hanging} hang on it"
            if step.action is Action.DROP:
                for gone in {step.object, *parts}:
                    del self.objects[gone], self.needs[gone]
                return
        assert wanted is not None
        needs = self.target.dependencies.get(step.object, frozenset())
        assert needs <= self.objects.keys(), f"{step.sql}: needs {needs - self.objects.keys()}"
        assert wanted.part_of is None or wanted.part_of in self.objects, f"{step.sql}: its whole isn't there"
        self.objects[step.object] = wanted
        self.needs[step.object] = needs


@st.composite
def schemas(draw: DrawFn, alterable: bool) -> tuple[Catalog, Catalog]:
    """Two schemas over the same ten names, each with dependencies of its own that go in no circle."""

    def one() -> Catalog:
        names = draw(st.lists(st.sampled_from("abcdefghij"), unique=True))
        things, needs = [], {}
        for n, name in enumerate(names):
            earlier = st.sampled_from(names[:n]) if n else st.nothing()
            on = draw(st.sets(earlier, max_size=3)) if n else set()
            whole = draw(st.sampled_from(("", "", *names[:n])))
            # What is part of another is so in both schemas: an index doesn't move to another table.
            whole = whole if whole and whole < name and name in "efghij" and whole in "abcd" else ""
            things.append(
                Thing(
                    id=named(name),
                    text=draw(st.sampled_from("xyz")),
                    whole=whole,
                    alterable=alterable and name in "bdfh",
                )
            )
            needs[name] = on | ({whole} if whole else set())
        return catalog(things, needs)

    return one(), one()


@given(schemas(alterable=False))
def test_no_step_breaks_a_dependency(pair: tuple[Catalog, Catalog]) -> None:
    live, target = pair
    found = plan(live, target)
    assert not found.blocked
    arrives(live, target, found)


@given(schemas(alterable=True))
def test_nor_where_objects_change_in_place(pair: tuple[Catalog, Catalog]) -> None:
    live, target = pair
    found = plan(live, target)
    if found.blocked:  # two that change in place and exchange their dependency can't be put in order
        assert "circle" in found.blocked[0]
        assert not found.steps
    else:
        arrives(live, target, found)


def arrives(live: Catalog, target: Catalog, found: Plan) -> None:
    database = Database(live, target)
    for step in found.steps:
        database.run(step)
    assert database.objects == target.objects


@given(schemas(alterable=True))
def test_equal_schemas_need_no_steps(pair: tuple[Catalog, Catalog]) -> None:
    assert plan(pair[0], pair[0]) == Plan(())


@given(schemas(alterable=False))
def test_a_plan_is_the_same_every_time(pair: tuple[Catalog, Catalog]) -> None:
    live, target = pair
    turned = Catalog("none", "1", dict(reversed(list(live.objects.items()))), dict(live.dependencies))
    assert plan(live, target) == plan(turned, target)


def test_what_holds_data_is_never_dropped_to_be_made_again() -> None:
    before = catalog([Thing(id=named("t"), text="x", holds_data=True)], {})
    after = catalog([Thing(id=named("t"), text="y", holds_data=True)], {})
    found = plan(before, after)
    assert found.steps == ()
    assert found.blocked == ("thing t would have to be dropped and created again, which would lose its data.",)


def test_an_unmanaged_object_that_has_to_go_blocks_the_plan_by_name() -> None:
    policy = UnmanagedObject(id=ObjectId("policy", ("t", "mine")), digest="1")
    found = plan(Catalog("none", "1", {policy.id: policy}), catalog([], {}))
    assert found.blocked == ("policy t.mine is of a kind that tagback does not manage yet.",)


def test_losses_are_named_once() -> None:
    table = Thing(id=named("t"), holds_data=True)
    assert plan(catalog([table], {}), catalog([], {})).losses == (Loss(LossKind.TABLE, table.id),)


def test_parts_go_with_their_whole_without_a_step_of_their_own() -> None:
    table, index = Thing(id=named("a")), Thing(id=named("i"), whole="a")
    live = catalog([table, index], {"i": {"a"}})
    assert [s.sql for s in plan(live, catalog([], {})).steps] == ["drop a"]


def test_dependents_are_taken_down_and_put_back_around_a_rebuild() -> None:
    base, view = Thing(id=named("base"), text="x"), Thing(id=named("view"))
    live = catalog([base, view], {"view": {"base"}})
    target = catalog([Thing(id=named("base"), text="y"), view], {"view": {"base"}})
    assert [s.sql for s in plan(live, target).steps] == ["drop view", "drop base", "create base", "create view"]
