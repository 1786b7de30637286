-- Every post is added up.
select _dt as day, 'used' as reason, count(*) as records, cast(null as decimal(18, 4)) as money
from validated.social_posts
group by 1
