-- Orders and tickets, so that tickets per order know which customers have both. One row per order or ticket.
select
  concat('order/', o.order_id) as care_id,
  o.customer_id,
  o.business_date,
  false as is_ticket,
  coalesce(s.country, c.country) as country
from customers.orders o
left join customers.sessions s on s.session_id = o.session_id
left join customers.customers c on c.customer_id = o.customer_id
union all
select concat('ticket/', f.feedback_id), f.customer_id, f.business_date, true, c.country
from customers.feedback f
left join customers.customers c on c.customer_id = f.customer_id
where f.kind = 'ticket'
