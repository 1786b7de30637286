-- Runs of touchpoints in one stage. A spell lasts until the first touchpoint in another stage; stages may be
-- skipped and entered again.
with staged as (
    select
        t.*,
        lag(t.stage) over (partition by t.customer_id order by t.sequence) as previous_stage
    from customers.touchpoints t
    where t.stage is not null
),
marked as (
    select
        s.*,
        sum(case when s.previous_stage is null or s.previous_stage <> s.stage then 1 else 0 end) over (
            partition by s.customer_id order by s.sequence rows between unbounded preceding and current row
        ) as spell
    from staged s
),
spells as (
    select
        customer_id,
        spell,
        min(stage) as stage,
        min(occurred_at) as entered_at,
        min_by(touchpoint_id, sequence) as entry_touchpoint_id,
        min_by(stage_rule, sequence) as rule_id,
        count(*) as touchpoints
    from marked
    group by customer_id, spell
)
select
    customer_id,
    stage,
    entered_at,
    lead(entered_at) over (partition by customer_id order by spell) as exited_at,
    entry_touchpoint_id,
    rule_id,
    spell,
    touchpoints
from spells
