import { CmtClient } from '@cmt/client';

const client = await CmtClient.connect({ redis: 'redis://10.0.0.9', stateDir: '/var/lib/my-program' });

const { report } = await client.enqueue({
  id: 'release-42', // the same id is one migration, however often this runs
  container: 'redis',
  source: 'host1',
  target: 'host2',
  options: { maxDowntimeMs: 200 },
});

for await (const event of client.follow(report.id)) process.stderr.write(`${event.kind} ${event.text}\n`);

const { state, blackoutMs, message } = await client.ended(report.id);
process.stdout.write(`${state}, it stood still for ${blackoutMs ?? 0} ms ${message ?? ''}\n`);
client.close();
process.exitCode = state === 'done' ? 0 : 1;
