/** A migration that went well, for tests of what is shown of it. */
import type { MigrationReport } from '@cmt/contracts';

export const doneReport: MigrationReport = {
  ...{ v: 1, id: 'm-1', container: 'redis', from: 'host1', to: 'host2', state: 'done', decision: 'COMMIT' },
  ...{
    step: 'clean',
    epoch: 1,
    rounds: 0,
    roundsNote: 'host1 does not track dirty pages',
    blackoutMs: 200,
    totalMs: 4210,
  },
  blackout: {
    ...{ totalMs: 200, pauseMs: 6.4, dumpMs: 80, transferMs: 20, filesMs: 13.6, restoreMs: 80 },
    ...{ criuMs: 150, ownMs: 14 },
  },
  steps: [
    { name: 'inspect', host: 'host1', try: 1, ok: true, ms: 12.34 },
    { name: 'sync-files', host: 'host1', try: 1, ok: false, ms: 30 },
    { name: 'sync-files', host: 'host1', try: 2, ok: true, ms: 1234 },
  ],
  ...{ findings: [], hooks: [], failure: null, message: null, remedy: null },
  request: {
    ...{
      v: 1,
      id: 'm-1',
      runtime: 'runc',
      container: 'redis',
      source: 'host1',
      target: 'host2',
      requestedAt: 0,
    },
    options: {
      ...{
        mode: 'auto',
        maxDowntimeMs: 300,
        maxRounds: 8,
        onNoConvergence: 'switch',
        restore: 'auto',
        tcp: 'established',
        transport: 'ssh',
        compress: 'none',
        sharedRootfs: false,
      },
      ...{ force: false, confirmForMs: 1000, validateOnly: false, hooks: [] },
    },
  },
};
