"""Tables of the world: one per entity set, and the books behind them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from contoso_sandbox.model import (
    ABSENT,
    ETAG_TAIL,
    REC_ID,
    REC_VERSION,
    EntitySet,
    Environment,
    Property,
)
from contoso_sandbox.world.chance import MACROS

if TYPE_CHECKING:
    import duckdb

#: The world's own records, which no entity set shows: clock, numbering, and what the SQL joins to.
_BOOKS = """
CREATE SCHEMA books;
CREATE TABLE books.state (
    today DATE, seed BIGINT, scale DOUBLE, fingerprint VARCHAR
);
CREATE TABLE books.counter (name VARCHAR, next BIGINT);
CREATE TABLE books.journal_number (company VARCHAR, next BIGINT);
CREATE TABLE books.company (
    company VARCHAR, country VARCHAR, language VARCHAR, accounting_currency VARCHAR,
    reporting_currency VARCHAR, calendar VARCHAR, ledger BIGINT, tax_percent DECIMAL(5, 2),
    tax_code VARCHAR, vendor_prefix VARCHAR, time_zone VARCHAR, site VARCHAR, vendors BIGINT
);
CREATE TABLE books.vendor (
    company VARCHAR, slot BIGINT, account VARCHAR, name VARCHAR, vendor_group VARCHAR,
    currency VARCHAR, term VARCHAR, term_days INTEGER, payment_method VARCHAR
);
CREATE TABLE books.handmade (
    company VARCHAR, slot BIGINT, account VARCHAR, name VARCHAR, street VARCHAR, phone VARCHAR,
    notes VARCHAR, offset_account VARCHAR, credit_limit DECIMAL(32, 6)
);
CREATE TABLE books.item (
    slot BIGINT, item VARCHAR, description VARCHAR, unit VARCHAR, price DECIMAL(18, 2),
    main_account VARCHAR, category VARCHAR
);
CREATE TABLE books.account (main_account VARCHAR, name VARCHAR, rec_id BIGINT);
CREATE TABLE books.period (
    company VARCHAR, starts DATE, ends DATE, period BIGINT, year BIGINT, period_name VARCHAR,
    year_name VARCHAR
);
CREATE TABLE books.unit_rate (
    from_currency VARCHAR, to_currency VARCHAR, starts DATE, rate DECIMAL(38, 18)
);
"""


def create_tables(cursor: duckdb.DuckDBPyConnection, environment: Environment) -> None:
    """Create an empty world: the tables of all entity sets, and the books."""
    for entity_set in environment.entity_sets.values():
        cursor.execute(_table(entity_set, environment))
    cursor.execute(_BOOKS)


def fingerprint(environment: Environment) -> str:
    """Digest of all definitions that a database keeps: does a stored world fit this program?"""
    digest = hashlib.sha256((_BOOKS + MACROS).encode())
    for entity_set in environment.entity_sets.values():
        digest.update(_table(entity_set, environment).encode())
    return digest.hexdigest()


def _table(entity_set: EntitySet, environment: Environment) -> str:
    """DDL of one set. Sentinels are column defaults, so that rooms write only what they know."""
    columns = [f"{REC_ID} BIGINT NOT NULL", f"{REC_VERSION} BIGINT NOT NULL DEFAULT 1"]
    if entity_set.sources > 1:
        absent = ";0,0" * (entity_set.sources - 1)
        columns.append(f"{ETAG_TAIL} VARCHAR NOT NULL DEFAULT '{absent}'")
    columns += [_column(prop, environment) for prop in entity_set.properties]
    return f"CREATE TABLE {entity_set.name} ({', '.join(columns)})"


def _column(prop: Property, environment: Environment) -> str:
    if prop.enum is not None:
        first_member, _ = environment.enums[prop.enum].members[0]
        return f"\"{prop.name}\" {prop.sql_type} DEFAULT '{first_member}'"
    return f'"{prop.column}" {prop.sql_type} NOT NULL DEFAULT {ABSENT[prop.ax_type]}'
