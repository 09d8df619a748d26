/** The limits in force. */
import { Limits } from '@cmt/contracts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';

const DEFAULTS = Limits.parse({});

interface Row {
  readonly name: string;
  readonly value: number;
  readonly usual: number;
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
    { name: 'fleet', value: all.fleet, usual: DEFAULTS.fleet, means: 'migrations at a time in the fleet' },
    { name: 'queue', value: all.queue, usual: DEFAULTS.queue, means: 'open migrations; one more is refused' },
  ];
  return table(
    rows,
    [
      { title: 'LIMIT', cell: ({ name }) => name },
      {
        title: 'VALUE',
        cell: ({ value }) => String(value),
        paint: (text, { value, usual }) => (value === usual ? text : paint.bold(text)),
      },
      { title: 'DEFAULT', cell: ({ usual }) => String(usual) },
      { title: 'MEANS', cell: ({ means }) => means },
    ],
    paint,
  );
}

const ofHost = (way: 'in' | 'out', host: string, value: number, usual: number): Row => ({
  ...{ name: `${way}@${host}`, value, usual },
  means: `migrations at a time ${way === 'out' ? 'from' : 'to'} ${host}`,
});
