"""Pseudo-random values as SQL macros: the same seed draws the same world.

A draw depends on the seed, on a tag that names the decision, and on the number of the thing decided
about; so rows can be made set-wise, in any order, by any number of threads. DuckDB's ``hash`` is
stable within a DuckDB version, which the lock file pins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

#: Stored in the world's database, the seed written in.
MACROS = """
CREATE MACRO books.draw(tag, n) AS hash({seed}, tag, n);
-- 0 .. k - 1
CREATE MACRO books.below(tag, n, k) AS
    CAST(hash({seed}, tag, n) % CAST(k AS UBIGINT) AS BIGINT);
CREATE MACRO books.percent(tag, n, p) AS hash({seed}, tag, n) % 100 < p;
CREATE MACRO books.one_of(tag, n, choices) AS
    choices[1 + CAST(hash({seed}, tag, n) % len(choices) AS BIGINT)];
-- Small numbers are frequent: quadratic from 0 to k - 1.
CREATE MACRO books.mostly_low(tag, n, k) AS
    (k * CAST(hash({seed}, tag, n) % 1000 AS BIGINT)
       * CAST(hash({seed}, tag, n) % 1000 AS BIGINT)) // 1000000;
-- An amount of money in cents, spread over magnitudes: 10.00 to about 10,000.00.
CREATE MACRO books.amount(tag, n) AS CAST(
    (1000 + CAST(hash({seed}, tag, n) % 9000 AS BIGINT))
    * [1, 1, 3, 9, 27, 81][1 + CAST(hash({seed}, tag, n) // 16384 % 6 AS BIGINT)]
    + CAST(hash({seed}, tag, n) // 1048576 % 100 AS BIGINT) AS DECIMAL(18, 0)
) * CAST(0.01 AS DECIMAL(3, 2));
-- Cents, half away from zero; what is not converted keeps all its digits. Never a float: decimal
-- times decimal stays decimal.
CREATE MACRO books.times(amount, factor) AS CASE
    WHEN factor = 1 THEN CAST(amount AS DECIMAL(32, 6))
    ELSE CAST(round(CAST(amount AS DECIMAL(20, 2)) * factor, 2) AS DECIMAL(32, 6)) END;
CREATE MACRO books.half(amount) AS books.times(amount, CAST(0.5 AS DECIMAL(2, 1)));
CREATE MACRO books.percent_of(amount, p) AS
    books.times(amount, p * CAST(0.01 AS DECIMAL(3, 2)));
CREATE MACRO books.noon(day) AS CAST(day AS TIMESTAMP) + INTERVAL 12 HOUR;
-- The given day, or the Monday after.
CREATE MACRO books.weekday_from(day) AS
    CAST(day AS DATE) + CAST([0, 0, 0, 0, 0, 2, 1][isodow(CAST(day AS DATE))] AS INTEGER);
-- When something was posted on a day: a third by batch jobs, all their rows in the same second.
CREATE MACRO books.stamp(day, tag, n) AS CAST(day AS TIMESTAMP) + to_seconds(
    CASE hash({seed}, tag, n) % 6
        WHEN 0 THEN 36003
        WHEN 1 THEN 55807
        ELSE 25200 + CAST(hash({seed}, tag, n) // 8 % 36000 AS BIGINT)
    END);
-- RecIds are reserved in blocks, one for each server and session: 32 rows, then a jump; and in
-- every second pair of blocks the later one is used first. RecId order is not commit order.
CREATE MACRO books.rec_id(base, n) AS
    base + n // 128 * 3000 + [0, 1500, 750, 2250][1 + n // 32 % 4] + n % 32;
-- RecVersion after an update: random, not counted up.
CREATE MACRO books.version(day, n) AS
    1 + CAST(hash({seed}, 'version', day, n) % 2147483646 AS BIGINT);
CREATE MACRO books.guid(tag, n) AS CAST(md5(concat({seed}, tag, n)) AS UUID);
-- F&O stores a company id as somebody typed it: a few rows say USMF.
CREATE MACRO books.as_typed(company, tag, n) AS
    CASE WHEN hash({seed}, 'typed', tag, n) % 40 = 0 THEN upper(company) ELSE company END;
-- Half of the documents belong to the first company.
CREATE MACRO books.company_of(tag, n) AS CASE
    WHEN hash({seed}, tag, n) % 20 < 10 THEN 'usmf'
    WHEN hash({seed}, tag, n) % 20 < 15 THEN 'demf'
    WHEN hash({seed}, tag, n) % 20 < 19 THEN 'gbsi'
    ELSE '2' END;
-- Who posted it.
CREATE MACRO books.user_of(tag, n) AS
    ['Admin', 'ALICIA', 'JULIA', 'PHYLLIS', 'batch'][1 + CAST(hash({seed}, tag, n) % 5 AS BIGINT)];
CREATE MACRO books.department(tag, n) AS
    ['001', '002', '003', '004', 'R\\-D'][1 + CAST(hash({seed}, tag, n) % 5 AS BIGINT)];
CREATE MACRO books.cost_center(tag, n) AS
    ['007', '008', '013', '021', ''][1 + CAST(hash({seed}, tag, n) % 5 AS BIGINT)];
"""


def create_macros(cursor: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Define the macros of a world; they stay in its database, the seed written into them."""
    cursor.execute(MACROS.replace("{seed}", str(int(seed))))
