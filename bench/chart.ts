/** The chart of a run: for every workload how many times as fast as the best peer each implementation is. */
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Row } from './run.ts';

/** SVG text. Bars to the right of 1 are faster than the fastest peer of their workload. */
export async function chart(rows: readonly Row[]): Promise<string> {
  const own = (r: Row): boolean => r.implementation.startsWith('Netwright');
  const values = rows.flatMap((r) => {
    if (!r.measured) return [];
    const same = rows.filter((x) => x.workload === r.workload && x.threads === r.threads && x.measured);
    const peers = same.filter((x) => !own(x));
    const best = Math.min(...(peers.length > 0 ? peers : same).map((x) => x.measured!.minMs));
    return [
      {
        workload: `${r.workload}, ${r.threads} thread${r.threads > 1 ? 's' : ''}`,
        implementation: r.implementation,
        speed: best / r.measured.minMs,
      },
    ];
  });
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: 'Speed as a multiple of the fastest peer (fastest call, one run)',
    background: 'white',
    data: { values },
    facet: { row: { field: 'workload', title: null, sort: null, header: { labelAngle: 0, labelAlign: 'left' } } },
    spec: {
      width: 480,
      layer: [
        {
          mark: 'bar',
          encoding: {
            x: { field: 'speed', type: 'quantitative', title: null, axis: { tickCount: 5 } },
            y: { field: 'implementation', title: null, sort: null },
            color: { field: 'implementation', legend: null },
          },
        },
        { mark: { type: 'rule', strokeDash: [4, 3] }, encoding: { x: { datum: 1 } } },
      ],
    },
    resolve: { scale: { y: 'independent' } },
  };
  return new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}
