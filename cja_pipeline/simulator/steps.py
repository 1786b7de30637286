"""The steps of a visit: what each one shows, sends and how long it takes."""

from __future__ import annotations

from typing import NamedTuple

NAMES = [
    "session_start",
    "first_visit",
    "page_view",
    "view_item_list",
    "view_item",
    "view_search_results",
    "add_to_cart",
    "begin_checkout",
    "add_shipping_info",
    "add_payment_info",
    "purchase",
    "scroll",
    "user_engagement",
    "sign_up",
    "login",
    "share",
    "form_error",
    "exception",
]
E = {name: code for code, name in enumerate(NAMES)}


class Step(NamedTuple):
    """Kind of page, event beside the page view, median seconds, whether it has a page view of its own."""

    page: str
    event: str | None
    seconds: float
    paged: bool = True


# in the order in which a visit runs through them
STEPS = {
    "land": Step("home", None, 13),
    "content": Step("content", None, 40),
    "login": Step("login", "login", 14),
    "list": Step("list", "view_item_list", 17),
    "search": Step("search", "view_search_results", 12),
    "product": Step("product", "view_item", 25),
    "list2": Step("list", "view_item_list", 17),
    "product2": Step("product", "view_item", 25),
    "share": Step("product", "share", 8, paged=False),
    "add": Step("product", "add_to_cart", 6, paged=False),
    "cart": Step("cart", None, 16),
    "checkout": Step("checkout", "begin_checkout", 22),
    "auth": Step("login", None, 20),
    "shipping": Step("shipping", "add_shipping_info", 28),
    "payment": Step("payment", "add_payment_info", 32),
    "error": Step("payment", "form_error", 14, paged=False),
    "purchase": Step("confirmation", "purchase", 12),
    "service": Step("account", None, 24),
}
S = {name: code for code, name in enumerate(STEPS)}
ERRORS = ["card_declined_by_form", "postcode_invalid", "payment_iframe_timeout"]
LANDINGS = ["home", "list", "product", "content", "cart", "account"]
L = {name: code for code, name in enumerate(LANDINGS)}
