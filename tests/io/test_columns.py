"""The one schema of the columns of tables."""

from anomalyncd.io.columns import (
    COLUMNS,
    columns_of,
    find_column,
    is_result_column,
    required_columns,
)


def test_result_columns_are_distinguished_from_columns_of_manifests() -> None:
    assert all(map(is_result_column, ("name", "class_name", "p_0", "area_17", "found", "ok")))
    assert not any(map(is_result_column, ("lot", "label", "split", "p_", "p_x", "area_0b", "p_k")))


def test_a_name_has_one_kind_in_all_tables() -> None:
    kinds: dict[str, set[str]] = {}
    for column in COLUMNS:
        kinds.setdefault(column.name, set()).add(column.kind)
    assert {name: len(kind) for name, kind in kinds.items()} == dict.fromkeys(kinds, 1)
    pairs = [(column.name, table) for column in COLUMNS for table in column.tables]
    assert len(set(pairs)) == len(pairs)


def test_columns_of_a_class_are_found_by_any_index() -> None:
    column = find_column("area_12")
    assert column is not None
    assert (column.name, column.kind) == ("area_k", "whole")
    assert find_column("lot") is None


def test_tables_need_all_but_optional_columns_and_those_of_classes() -> None:
    needed = required_columns("images.csv")
    assert {"name", "path", "class", "score", "n_regions", "height", "width"} <= needed
    assert not needed & {"ok", "unseen", "p_k", "area_k", "left"}


def test_columns_are_in_the_order_of_the_table() -> None:
    assert [column.name for column in columns_of("classes.csv")] == [
        *("class", "class_name", "normal", "n_images", "n_regions"),
        *("mean_area", "mean_score"),
    ]
