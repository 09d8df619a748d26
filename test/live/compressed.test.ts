/** Images packed by zstd on their way between two real hosts; and a host whose cmt knows nothing of that. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesSent, type Mend } from '../support/broken-tools.ts';
import { expectNothingBehind, expectOnlyMoved } from '../support/expectations.ts';
import { crash, migrate, newId } from '../support/fleet.ts';
import { outcomeOf, Rewriter } from '../support/rewriter.ts';

const LIMIT = { timeout: 240_000 };
const id = 'packed';
/** 256 MiB, each page of it of sixteen bytes that repeat: they pack to next to nothing. */
const rewriter = Rewriter.use({ lab: 'zstd', id, pages: 65_536 });
const MIB = 2 ** 20;
const WORKER = join(import.meta.dirname, '../../dist/worker.js');

const move = (...flags: string[]) => ({
  ...{ id: newId(), container: id, from: 'host1', to: 'host2' },
  flags: ['--compress', 'zstd', ...flags],
});

describe('a container that rewrites its memory all along, moved with --compress zstd', () => {
  test('takes a part of its size of the wire, and has every page as it was', LIMIT, async () => {
    const before = await bytesSent(rewriter.fleet.lab, 'host1');
    const { migration } = await migrate(rewriter.fleet, move());
    const onTheWire = (await bytesSent(rewriter.fleet.lab, 'host1')) - before;
    expect(outcomeOf(migration)).toEqual(['done', null]);
    expect(migration.imageBytes).toBeGreaterThan(256 * MIB);
    expect(migration.bytesSent).toBeLessThan(32 * MIB);
    // With its files, which go as they are.
    expect(onTheWire).toBeGreaterThan(migration.bytesSent ?? Infinity);
    expect(onTheWire).toBeLessThan(128 * MIB);
    await rewriter.expectRunsOn('host2');
    await expectOnlyMoved(rewriter.fleet.lab, rewriter.before);
  });

  test('stands still for a part of what its size would take of a slow link', LIMIT, async () => {
    const { migration } = await migrate(rewriter.fleet, move('--bandwidth', '4MiB/s'));
    expect(outcomeOf(migration)).toEqual(['done', null]);
    expect(migration.blackoutMs).toBeLessThan((256 / 4) * 1000 * 0.5);
    await rewriter.expectRunsOn('host2');
  });
});

/** The worker of a host is one of before there was --compress: it tells nobody that it can, and would not. */
async function makeOld(host: string): Promise<Mend> {
  const { fleet } = rewriter;
  await rewriter.inHost(
    host,
    `sed 's/zstd:true/zstd:false/' ${WORKER} > /run/old-worker.js && mount --bind /run/old-worker.js ${WORKER}`,
  );
  await crash(fleet, { worker: host });
  return async () => {
    await rewriter.inHost(host, `umount ${WORKER}; rm /run/old-worker.js`);
    await crash(fleet, { worker: host });
  };
}

describe.each(['host1', 'host2'])('where the cmt of %s is older', (host) => {
  test('it is refused before anything happens, and with --force too', LIMIT, async () => {
    await rewriter.broken(makeOld(host));
    const { migration, code } = await migrate(rewriter.fleet, move('--force'));
    expect([...outcomeOf(migration), code]).toEqual(['refused', 'VALIDATION_REFUSED', 3]);
    expect(migration.findings).toContainEqual(
      expect.objectContaining({ code: 'NO_ZSTD', severity: 'hard', host }),
    );
    await rewriter.expectRunsOn('host1');
    await rewriter.mend();
    await expectNothingBehind(rewriter.fleet.lab, rewriter.before);
  });
});
