/** What a migration tells, as lines and as a picture. */
import { describe, expect, it } from 'vitest';
import type { MigrationEvent } from '@cmt/contracts';
import { advance, eventLine, noProgress, progressLines } from './events.ts';
import { paintFor } from './paint.ts';

const plain = paintFor(false);

describe('events', () => {
  const event = (
    at: number,
    kind: MigrationEvent['kind'],
    more: Partial<MigrationEvent> = {},
  ): MigrationEvent => ({
    ...{ v: 1, migration: 'm-1', at, host: 'host1', kind, text: '', ...more },
  });
  const told = [
    event(1000, 'state', { text: 'running' }),
    event(1000, 'step-started', { step: 'inspect', text: 'inspect' }),
    event(1100, 'step-ended', { step: 'inspect', text: 'done' }),
    event(1150, 'note', { step: 'pre-dump', text: 'no rounds' }),
    event(1200, 'step-started', { step: 'sync-files' }),
    event(1300, 'progress', { step: 'sync-files', text: 'files', done: 5e6, total: 2e7 }),
    event(1400, 'warning', { text: 'once\u001b[2Jmore' }),
  ];

  it('are a line each in a log', () => {
    expect(told.map((one) => eventLine(one, plain)).join('')).toMatchInlineSnapshot(`
      "1970-01-01T00:00:01.000Z host1 state running
      1970-01-01T00:00:01.000Z host1 step-started inspect
      1970-01-01T00:00:01.100Z host1 step-ended inspect: done
      1970-01-01T00:00:01.150Z host1 note pre-dump: no rounds
      1970-01-01T00:00:01.200Z host1 step-started sync-files
      1970-01-01T00:00:01.300Z host1 progress sync-files: files 5.0 MB of 20.0 MB (25 %)
      1970-01-01T00:00:01.400Z host1 warning once?[2Jmore
      "
    `);
  });

  it('fold into a picture, and the same event twice changes nothing', () => {
    const picture = told.reduce(advance, noProgress);
    expect(progressLines(picture, 1500, plain)).toMatchInlineSnapshot(`
      [
        "+ inspect           host1           100 ms",
        "> sync-files        host1           300 ms  files 5.0 MB of 20.0 MB (25 %)",
        "  no rounds",
        "! once?[2Jmore",
        "  running",
      ]
    `);
    expect(told.reduce(advance, picture)).toEqual(picture);
  });

  it('that begin a step again are a line of their own', () => {
    const again = [
      ...told,
      event(1500, 'step-ended', { step: 'sync-files', text: 'The link broke.' }),
      event(1600, 'step-started', { step: 'sync-files' }),
    ];
    const lines = progressLines(again.reduce(advance, noProgress), 1700, plain);
    expect(lines.filter((line) => line.includes('sync-files'))).toEqual([
      'x sync-files        host1           300 ms  The link broke.',
      '> sync-files        host1           100 ms',
    ]);
  });
});
