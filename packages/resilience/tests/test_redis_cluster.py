"""Limits and the signal over redis-py's client of a cluster: each script has one key, so any node will do."""

import asyncio

import pytest
from redis.asyncio.cluster import ClusterNode, RedisCluster

from bookstore.resilience import Breaker, Pipeline, Quota, RateLimit
from bookstore.resilience.quorum import Quorum
from bookstore.resilience.redis import RedisLimits
from bookstore.stores.redis_cluster import RedisCluster as Nodes

pytestmark = [pytest.mark.redis, pytest.mark.long]


@pytest.fixture
async def cluster(store_folder, store_guardian, tmp_path_factory):
    with Nodes(store_folder / tmp_path_factory.mktemp("cluster").name, store_guardian, replicas=0) as nodes:
        seeds = [ClusterNode("127.0.0.1", node.port) for node in nodes.nodes]
        async with RedisCluster(startup_nodes=seeds, password=nodes.password) as client:
            yield client


@pytest.mark.parametrize("lease", [0, 4])
async def test_many_limits_are_counted_on_all_nodes(cluster, lease):
    limits = [RedisLimits(cluster, lease=lease, timeout=5.0) for _ in range(2)]
    rates = [RateLimit(Quota(10, per=3600.0), store=store) for store in limits]
    for user in range(30):
        decisions = await asyncio.gather(*(rates[turn % 2].try_acquire(f"user-{user}") for turn in range(12)))
        assert not any(decision.degraded for decision in decisions)
        allowed = sum(decision.allowed for decision in decisions)
        assert allowed == 10 if not lease else 10 - lease <= allowed <= 10
    for store in limits:
        await store.aclose()


async def test_votes_are_counted(cluster):
    async def fail():
        raise OSError

    processes = []
    for _ in range(3):
        breaker = Breaker(consecutive=1, open_for=3600.0)
        quorum = Quorum(breaker, cluster, every=0.01, timeout=5.0)
        processes.append((quorum, Pipeline("p", quorum, breaker)))
    for quorum, pipeline in processes[:2]:
        # The first look comes with the call that fails; the second one votes.
        with pytest.raises(OSError):
            await pipeline.call(fail)
        await quorum.aclose()
        await quorum._look()
    quorum, pipeline = processes[2]
    await pipeline.call(asyncio.sleep, 0)
    await quorum.aclose()
    assert quorum.votes == 2
