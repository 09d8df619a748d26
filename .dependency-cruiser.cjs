/** The architecture as rules: saga, fleet, queue and host never import each other, apps never import apps. */
const only = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to });

/** Tests may use the test tools. */
const TEST = '\\.test\\.ts$';

module.exports = {
  forbidden: [
    only('no-circular', {}, { circular: true }, 'A circle has no top to start reading from.'),
    only('contracts-knows-nobody', { path: '^libs/contracts/' }, { path: '^(libs/(?!contracts)|apps/)' }),
    only(
      'contracts-imports-zod-only',
      { path: '^libs/contracts/', pathNot: TEST },
      { path: 'node_modules/(?!zod/)', pathNot: '^libs/' },
    ),
    only(
      'saga-is-pure',
      { path: '^libs/saga/', pathNot: TEST },
      { path: '^(libs/(fleet|queue|host)|apps/)|node_modules/', pathNot: '^libs/contracts' },
    ),
    only(
      'fleet-is-pure',
      { path: '^libs/fleet/', pathNot: TEST },
      { path: '^(libs/(saga|queue|host)|apps/)|node_modules/', pathNot: '^libs/contracts' },
    ),
    only(
      'saga-fleet-and-contracts-touch-no-node',
      { path: '^libs/(saga|fleet|contracts)/src/', pathNot: TEST },
      { dependencyTypes: ['core'] },
    ),
    only('queue-touches-no-runtime', { path: '^libs/queue/' }, { path: '^(libs/(saga|fleet|host)|apps/)' }),
    only('client-knows-the-queue-alone', { path: '^libs/client/' }, { path: '^(libs/(saga|host)|apps/)' }),
    only('libs-know-no-client', { path: '^libs/(?!client/)' }, { path: '^libs/client/' }),
    only('host-touches-no-queue', { path: '^libs/host/' }, { path: '^(libs/(saga|fleet|queue)|apps/)' }),
    ...['cli', 'coordinator', 'worker', 'board', 'lab'].map((app) =>
      only(`app-${app}-alone`, { path: `^apps/${app}/` }, { path: `^apps/(?!${app}/)` }),
    ),
    only('one-owner-of-execa', { pathNot: '^libs/host/src/process\\.ts$' }, { path: 'node_modules/execa/' }),
    only(
      'one-owner-of-ssh2',
      { pathNot: '^libs/host/src/transports/' },
      { path: 'node_modules/(ssh2|@types/ssh2)/' },
    ),
    only(
      'one-owner-of-zstd',
      { pathNot: '^libs/host/src/transports/carrier/zstd\\.ts$' },
      { path: 'node_modules/@bokuweb/' },
    ),
    only('one-owner-of-bullmq', { pathNot: '^libs/queue/' }, { path: 'node_modules/(bullmq|ioredis)/' }),
    only(
      'a-quick-look-is-light',
      { path: '^libs/queue/src/look\\.ts$' },
      { path: 'node_modules/bullmq/', reachable: true },
    ),
    only(
      'one-owner-of-opentelemetry',
      { pathNot: '^libs/queue/src/traces-sdk\\.ts$' },
      { path: 'node_modules/(@opentelemetry|bullmq-otel)/' },
    ),
    only(
      'one-owner-of-the-web',
      { pathNot: '^apps/board/' },
      { path: 'node_modules/(express|@types/express|@bull-board|prom-client)/' },
    ),
    only(
      'pages-touch-no-node',
      { path: '^apps/board/src/page/' },
      { pathNot: '^apps/board/src/(page|view)/', dependencyTypesNot: ['type-only'] },
    ),
    only('one-owner-of-commander', { pathNot: '^apps/cli/' }, { path: 'node_modules/commander/' }),
    only(
      'one-owner-of-child-process',
      { pathNot: '^libs/host/src/process\\.ts$' },
      { path: '^(node:)?child_process$' },
    ),
    only('resolvable', {}, { couldNotResolve: true }),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules/(?!@cmt)' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
