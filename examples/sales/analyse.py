"""Cleans a CSV of orders and says what was sold where. Standard library only.

    python3 analyse.py sales.csv [summary.json]
"""

import csv
import json
import re
import sys
import time
from collections import Counter, defaultdict
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y")
REGIONS = {"north": "North", "nord": "North", "south": "South", "east": "East", "west": "West", "w.": "West"}


class Unreadable(ValueError):
    """A value that cannot be read; its message is what the report counts."""


def parse_date(text: str) -> date:
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(text.strip(), form).date()
        except ValueError:
            continue
    raise Unreadable("no such date")


def parse_price(text: str) -> Decimal:
    digits = re.sub(r"[^\d.,-]", "", text).replace(",", ".")
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise Unreadable("no price") from None


def parse_quantity(text: str) -> int:
    try:
        return int(float(text))
    except ValueError:
        raise Unreadable("no quantity") from None


def parse_region(text: str) -> str:
    try:
        return REGIONS[text.strip().lower()]
    except KeyError:
        raise Unreadable("no region") from None


def product_family(text: str) -> str:
    return text.split(",")[0].strip().capitalize().replace("Usb-c", "USB-C").replace(" a5", " A5")


def read(path: str):
    """The orders that can be read, and how many could not and why."""
    orders, skipped, seen = [], Counter(), set()
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["order_id"] in seen:
                skipped["doubled order"] += 1
                continue
            seen.add(row["order_id"])
            try:
                quantity = parse_quantity(row["quantity"])
                revenue = quantity * parse_price(row["unit_price"])
                orders.append((parse_date(row["date"]), parse_region(row["region"]), product_family(row["product"]), quantity, revenue))
            except Unreadable as reason:
                skipped[str(reason)] += 1
    return orders, skipped


def bar(value: Decimal, largest: Decimal, width: int = 22) -> str:
    return "█" * round(width * float(value / largest)) if value > 0 else ""


def table(title: str, totals: dict, orders: Counter) -> None:
    print(f"\n{title:<16}{'orders':>8}{'revenue':>14}")
    largest = max(totals.values())
    for name, revenue in totals.items():
        print(f"{name:<16}{orders[name]:>8}{revenue:>14,.2f}  {bar(revenue, largest)}")
        time.sleep(0.02)  # a report that is written while it is computed


def main(path: str, summary: str | None) -> None:
    orders, skipped = read(path)
    refunds = sum(1 for order in orders if order[3] < 0)
    dropped = ", ".join(f"{count} {reason}" for reason, count in skipped.most_common())
    print(f"{len(orders)} orders read, {refunds} of them refunds; left out: {dropped}")
    result = {}
    for title, key in (("region", lambda order: order[1]), ("month", lambda order: f"{order[0]:%Y-%m}"), ("product", lambda order: order[2])):
        totals, counts = defaultdict(Decimal), Counter()
        for order in orders:
            totals[key(order)] += order[4]
            counts[key(order)] += 1
        by_name = title == "month"
        result[title] = dict(sorted(totals.items(), key=lambda item: item[0] if by_name else -item[1]))
        table(title, result[title], counts)
    if summary is not None:
        with open(summary, "w", encoding="utf-8") as file:
            json.dump({title: {name: float(value) for name, value in totals.items()} for title, totals in result.items()}, file, indent=2)
        print(f"\nwritten to {summary}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
