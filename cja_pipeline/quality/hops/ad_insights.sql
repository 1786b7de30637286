-- Every advert day is added up, with its spend.
select _dt as day, 'used' as reason, count(*) as records, sum(spend) as money
from validated.ad_insights
group by 1
