/** What stands for tests whose means are absent: it names them, and fails where everything is required. */
import type { ExecutionContext } from 'ava';

export function absent(t: ExecutionContext): void {
  if (process.env['NETWRIGHT_REQUIRE_ALL']) t.fail('it is required here (NETWRIGHT_REQUIRE_ALL) and not there');
  else t.pass();
}
