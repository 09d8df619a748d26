/** Golden texts: what people read, word for word. */
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { Finding, MigrationReport } from '@cmt/contracts';
import { doneReport as report } from '../../../../test/support/done-report.ts';
import { completionScript } from './completion.ts';
import { errorObject, failureText } from './failure.ts';
import { findingsText, verdictText } from './findings.ts';
import { paintFor, printable } from './paint.ts';
import { outcomeText, reportText } from './report.ts';
import { share, size, time } from './units.ts';

const plain = paintFor(false);

const findings: Finding[] = [
  {
    code: 'CRIU_OLDER',
    severity: 'soft',
    host: 'host2',
    message: 'criu 4.1 here, 4.2 there',
    remedy: 'Upgrade criu.',
  },
  {
    code: 'STREAM_OUTSIDE',
    severity: 'hard',
    host: 'host1',
    message: 'fd 2 of 17 leads\nout',
    remedy: 'Use /dev/null.',
  },
  { code: 'NO_ROUNDS', severity: 'note', host: 'host1', message: 'no dirty tracking', remedy: '' },
];

describe('units', () => {
  it.each([
    [0, '0 ms'],
    [6.44, '6.4 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [59_990, '59.99 s'],
    [59_996, '1 min 0 s'],
    [125_000, '2 min 5 s'],
    [3 * 3600_000, '3 h 0 min'],
    [72 * 3600_000, '3 days'],
  ])('%d ms is %s', (ms, text) => expect(time(ms)).toBe(text));

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [99_960, '100 kB'],
    [1_100_000_000, '1.1 GB'],
    [5e15, '5000 TB'],
  ])('%d bytes are %s', (bytes, text) => expect(size(bytes)).toBe(text));

  it('nothing of nothing is no share', () => expect([share(1, 3), share(0, 0)]).toEqual(['33 %', '0 %']));
});

describe('failures', () => {
  const failure = {
    ...{ code: 'DUMP_FAILED' as const, log: 'one\ntwo \u001b[31mred\n' },
    details: { container: 'redis', host: 'host1', reason: 'no\nluck', log: '/var/lib/cmt/logs/x' },
  };

  it('are a sentence, a remedy and the end of the log', () => {
    expect(failureText(failure, plain)).toBe(
      'error DUMP_FAILED: CRIU could not dump redis on host1: no luck.\n' +
        '  The full log is kept on host1 in /var/lib/cmt/logs/x.\n' +
        '  | one\n' +
        '  | two ?[31mred\n',
    );
  });

  it('are an object for programs', () => {
    expect(errorObject(failure)).toEqual({
      code: 'DUMP_FAILED',
      message: 'CRIU could not dump redis on host1: no\nluck.',
      remedy: 'The full log is kept on host1 in /var/lib/cmt/logs/x.',
      host: 'host1',
      log: failure.log,
    });
    expect(errorObject({ code: 'COORDINATOR_MISSING', details: {} })).not.toHaveProperty('host');
  });
});

describe('a report', () => {
  it('in full', () => {
    expect(reportText(report, plain)).toMatchInlineSnapshot(`
      "m-1
        container redis, host1 -> host2
        state     done
        decision  COMMIT (epoch 1)
        rounds    0: host1 does not track dirty pages
        blackout  200 ms: pause 6.4 ms (3 %), dump 80 ms (40 %), transfer 20 ms (10 %), files 14 ms (7 %), restore 80 ms (40 %)
                  of it CRIU 150 ms (75 %), cmt’s own 14 ms (7 %)
        total     4.21 s

      STEP        HOST   TRY  TIME    RESULT
      inspect     host1  1    12 ms   ok
      sync-files  host1  1    30 ms   failed
      sync-files  host1  2    1.23 s  ok
      "
    `);
  });

  it('tells what images took of the wire where they were packed, and nothing of it where they were not', () => {
    const text = (imageBytes: number) => reportText({ ...report, bytesSent: 12_000_000, imageBytes }, plain);
    expect(text(268_000_000)).toContain('  sent      12.0 MB for 268 MB of images (4 %)\n');
    expect(text(12_000_000)).not.toContain('of images');
  });

  it('tells the rounds, and how good the prediction was', () => {
    const round = { freezingMs: 4, frozenMs: 16, sendMs: 90, filesMs: null, pagesSkipped: 0 };
    const preCopy: MigrationReport['preCopy'] = {
      rounds: [
        {
          ...{ ...round, startedAt: 1000, ms: 100, pagesWritten: 25_600, bytesSent: 105_000_000 },
          dirtyBytes: 9_900_000,
        },
        {
          ...round,
          startedAt: 1300,
          ms: 40,
          pagesWritten: 2560,
          pagesSkipped: 23_040,
          bytesSent: 11_000_000,
        },
      ],
      final: { ...round, ms: 30, pagesWritten: 256, pagesSkipped: 25_344, bytesSent: 1_200_000 },
      predicted: { totalMs: 180, dumpMs: 90, filesMs: 10, restoreMs: 80, remaining: 1_048_576 },
    };
    const text = reportText({ ...report, rounds: 2, roundsNote: 'fits', preCopy }, plain);
    expect(
      text
        .split('\n')
        .filter((line) => /predicted|ROUND|^[12f]/.test(line))
        .join('\n'),
    ).toMatchInlineSnapshot(`
      "  predicted 180 ms, 10 % less than it was: dump and transfer 90 ms, files 10 ms, restore 80 ms
      ROUND  WRITTEN  UNCHANGED  SENT     LEFT    TIME    STOOD STILL
      1      105 MB   0 B        105 MB   9.9 MB  100 ms  20 ms
      2      10.5 MB  94.4 MB    11.0 MB          40 ms   20 ms
      final  1.0 MB   104 MB     1.2 MB           30 ms   20 ms"
    `);
  });

  it('of a failure ends with it', () => {
    const failed: MigrationReport = {
      ...{
        ...report,
        state: 'rolled-back',
        decision: 'ABORT',
        step: 'pre-restore',
        blackout: null,
        roundsNote: null,
      },
      ...{ steps: [], findings: findings.slice(0, 1) },
      hooks: [{ name: 'pre-restore', ok: false, code: 3, output: 'not now\n', ms: 41 }],
      failure: { code: 'HOOK_FAILED', details: { hook: 'pre-restore', code: 3, output: 'not now' } },
    };
    expect(reportText(failed, plain)).toMatchInlineSnapshot(`
      "m-1
        container redis, host1 -> host2
        state     rolled-back
        decision  ABORT (epoch 1)
        rounds    0
        blackout  200 ms
        total     4.21 s

      HOOK         EXIT  TIME   OUTPUT
      pre-restore  3     41 ms  not now

      WEIGHT  FINDING     HOST   WHAT
      soft    CRIU_OLDER  host2  criu 4.1 here, 4.2 there
              -> Upgrade criu.

      error HOOK_FAILED: Hook pre-restore failed with 3: not now.
        Run the program by hand with the same JSON on standard input.
      "
    `);
  });

  it('refused before anybody has seen the container, says nothing about it', () => {
    const unseen: typeof report = { ...report, state: 'refused', steps: [] };
    expect(outcomeText(unseen, plain)).toBe('refused: nothing was changed\n');
  });

  it('in one sentence', () => {
    const states = [
      'done',
      'validated',
      'refused',
      'rolled-back',
      'cancelled',
      'needs-operator',
      'running',
    ] as const;
    expect(states.map((state) => outcomeText({ ...report, state }, plain)).join('')).toMatchInlineSnapshot(`
      "done: redis runs on host2, it stood still for 200 ms (4.21 s in all)
      validated: redis can move from host1 to host2
      refused: nothing was changed; redis is as it was on host1
      rolled back: redis runs on host1, it stood still for 200 ms
      cancelled: redis runs on host1, it stood still for 200 ms
      needs you: cmt cannot decide alone what becomes of redis
      running: redis, host1 to host2
      "
    `);
  });
});

describe('findings', () => {
  it('stand with the heaviest first, each above its remedy', () => {
    expect(findingsText(findings, plain)).toMatchInlineSnapshot(`
      "WEIGHT  FINDING         HOST   WHAT
      hard    STREAM_OUTSIDE  host1  fd 2 of 17 leads out
              -> Use /dev/null.
      soft    CRIU_OLDER      host2  criu 4.1 here, 4.2 there
              -> Upgrade criu.
      note    NO_ROUNDS       host1  no dirty tracking
      "
    `);
  });

  it('end in a verdict', () => {
    expect(verdictText({ ...report, state: 'refused', findings: findings.slice(1, 2) }, plain)).toContain(
      'redis cannot move from host1 to host2: 1 hard, 0 soft.\n',
    );
    expect(verdictText({ ...report, state: 'validated' }, plain)).toBe(
      'host1 does not track dirty pages\nredis can move from host1 to host2.\n',
    );
  });
});

describe('text from elsewhere', () => {
  it('cannot steer the terminal', () => {
    expect(printable('a\u001b[2J\u009b1mb\u0007\nc')).toBe('a?[2J?1mb?\nc');
  });
});

describe('completion', () => {
  const program = new Command('cmt');
  program.command('ps').description("what's there").option('--json', 'JSON');
  program.command('lab').command('up').option('--name <name>', 'its name');

  it.each(['bash', 'zsh', 'fish'] as const)('for %s knows verbs below verbs', (shell) => {
    const script = completionScript(shell, program);
    expect(script).toContain('up');
    expect(script).toContain(shell === 'fish' ? "-l json -d 'JSON'" : "'ps') words='--json --help'");
  });
});
