/** Choosing among measured ways, with a clock of our own: what is faster beyond noise, and nothing else. */
import test from 'ava';
import { MARGIN, pick } from '../../src/tune/pick.ts';

/** Ways that take what `cost` says in each call; calls are counted, and the clock moves by what they take. */
function clock(costs: readonly ((call: number) => number)[]) {
  let time = 0;
  const calls = costs.map(() => 0);
  return {
    calls,
    now: () => time,
    measure: (way: number): number => {
      const ms = costs[way]!(calls[way]!++);
      time += ms;
      return ms;
    },
  };
}

const chosen = (costs: readonly ((call: number) => number)[], milliseconds = 100): number => {
  const c = clock(costs);
  return pick(costs.length, c.measure, c.now, milliseconds).chosen;
};

const steady =
  (ms: number) =>
  (call: number): number =>
    ms * (1 + (call % 3) / 100);

test('the fastest way is chosen, with what both take', (t) => {
  const c = clock([steady(2), steady(3), steady(1), steady(1.5)]);
  t.deepEqual(pick(4, c.measure, c.now, 100), { chosen: 2, usual: 2, best: 1 });
});

test('the usual way stays where no other is faster by more than the margin', (t) => {
  t.is(chosen([steady(2)]), 0);
  t.is(chosen([steady(2), steady(2), steady(3)]), 0);
  t.is(chosen([steady(2), steady(2 * (1 - MARGIN / 2))]), 0);
  t.is(chosen([steady(2), steady(2 * (1 - 2 * MARGIN))]), 1);
});

test('a way that was lucky once is not chosen', (t) => {
  const lucky = (call: number): number => (call === 3 ? 1 : 2);
  t.is(chosen([steady(2), lucky]), 0);
});

test('a way that was disturbed while it was the usual one hides nothing: minima count', (t) => {
  const disturbed = (call: number): number => (call % 2 === 0 ? 5 : 2);
  t.is(chosen([disturbed, steady(2)]), 0);
  t.is(chosen([steady(2), (call) => (call % 4 === 0 ? 5 : 1.5)]), 1);
});

test('a first call that warms up decides nothing', (t) => {
  t.is(chosen([steady(2), (call) => (call === 0 ? 50 : 1)]), 1);
});

test('ways that are far behind are not measured on, and the time that is given is kept', (t) => {
  const c = clock([steady(1), steady(9), steady(0.9)]);
  t.is(pick(3, c.measure, c.now, 200).chosen, 2);
  t.true(c.calls[1]! <= 3, `${c.calls.join()}`);
  t.true(c.now() < 230, `${c.now()} ms`);
});
