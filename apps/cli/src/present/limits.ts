/** The limits in force. */
import { Limits } from '@cmt/contracts';
import { isRate } from '@cmt/fleet';
import type { Paint } from './paint.ts';
import { table } from './table.ts';
import { size } from './units.ts';

const DEFAULTS = Limits.parse({});

interface Row {
  readonly name: string;
  readonly value: number | null;
  readonly usual: number | null;
  readonly means: string;
}

export function limitsText({ hosts, ...all }: Limits, paint: Paint): string {
  const rows: Row[] = [
    { name: 'out', value: all.out, usual: DEFAULTS.out, means: 'migrations at a time from one host' },
    { name: 'in', value: all.in, usual: DEFAULTS.in, means: 'migrations at a time to one host' },
    ...Object.entries(hosts).flatMap(([host, own]) => [
      ...(own.out === undefined ? [] : [ofHost('out', host, own.out, all.out)]),
      ...(own.in === undefined ? [] : [ofHost('in', host, own.in, all.in)]),
    ]),
    { name: 'bandwidth', value: all.bandwidth, usual: DEFAULTS.bandwidth, means: linkOf('each host') },
    ...Object.entries(hosts).flatMap(([host, own]) =>
      own.bandwidth === undefined
        ? []
        : [{ name: `bandwidth@${host}`, value: own.bandwidth, usual: all.bandwidth, means: linkOf(host) }],
    ),
    { name: 'fleet', value: all.fleet, usual: DEFAULTS.fleet, means: 'migrations at a time in the fleet' },
    { name: 'queue', value: all.queue, usual: DEFAULTS.queue, means: 'open migrations; one more is refused' },
  ];
  return table(
    rows,
    [
      { title: 'LIMIT', cell: ({ name }) => name },
      {
        title: 'VALUE',
        cell: (row) => amount(row, row.value),
        paint: (text, { value, usual }) => (value === usual ? text : paint.bold(text)),
      },
      { title: 'DEFAULT', cell: (row) => amount(row, row.usual) },
      { title: 'MEANS', cell: ({ means }) => means },
    ],
    paint,
  );
}

const linkOf = (host: string): string => `what migrations share of the link of ${host}, each way`;

const amount = ({ name }: Row, value: number | null): string =>
  value === null ? 'no limit' : isRate(name) ? `${size(value)}/s` : String(value);

const ofHost = (way: 'in' | 'out', host: string, value: number, usual: number): Row => ({
  ...{ name: `${way}@${host}`, value, usual },
  means: `migrations at a time ${way === 'out' ? 'from' : 'to'} ${host}`,
});
