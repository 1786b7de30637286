"""Which CRM objects are read, with which properties, and how their changes are found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CrmObject:
    """One object type: the property with the time of its last change, the properties to read, and the
    object type it is associated with (None if its associations are not needed)."""

    time_property: str
    properties: tuple[str, ...]
    associated: str | None = None


OBJECTS: dict[str, CrmObject] = {
    "contacts": CrmObject(
        "lastmodifieddate",
        (
            "hs_object_id", "createdate", "lastmodifieddate", "email", "phone", "mobilephone",
            "firstname", "lastname", "date_of_birth", "address", "city", "zip", "country", "hs_language",
            "lifecyclestage", "hs_email_optout", "hs_analytics_source", "hs_merged_object_ids",
            "shop_login_id", "loyalty_id", "referral_code", "referred_by_code",
            "consent_analytics", "consent_marketing",
        ),
    ),
    "orders": CrmObject(
        "hs_lastmodifieddate",
        (
            "hs_object_id", "hs_createdate", "hs_lastmodifieddate", "hs_order_name",
            "hs_external_order_id", "hs_external_order_status", "hs_payment_status",
            "hs_external_created_date", "hs_total_price", "hs_subtotal_price", "hs_order_discount",
            "hs_refund_amount", "hs_currency_code", "hs_exchange_rate", "hs_source_store", "sales_channel",
            "hs_billing_address_email", "hs_billing_address_phone", "discount_code", "is_test",
            "hs_is_canceled",
        ),
        associated="contacts",
    ),
    "tickets": CrmObject(
        "hs_lastmodifieddate",
        (
            "hs_object_id", "createdate", "closed_date", "hs_lastmodifieddate", "subject", "content",
            "hs_ticket_category", "hs_ticket_priority", "hs_pipeline_stage", "source_type", "hs_language",
        ),
        associated="contacts",
    ),
    "feedback_submissions": CrmObject(
        "hs_lastmodifieddate",
        (
            "hs_object_id", "hs_lastmodifieddate", "hs_survey_type", "hs_survey_name", "hs_value",
            "hs_content", "hs_submission_timestamp", "hs_contact_email_rollup", "hs_language", "order_id",
        ),
        associated="contacts",
    ),
}  # fmt: skip
