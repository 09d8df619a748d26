/** Images for which there is no room in memory: they lie on disk, are reached by the same path, and go with the rest. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { imagesDir, spillDir } from '../../libs/host/src/places.ts';
import { orphans } from '../../libs/host/src/settle.ts';
import { MIGRATION, type PaperHost } from '../support/paper-host.ts';
import { container, failure, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();

const isLink = async (host: PaperHost, epoch = 1): Promise<boolean> =>
  (await lstat(imagesDir(host.parts.config, MIGRATION, epoch))).isSymbolicLink();
const onDisk = (host: PaperHost): Promise<string[]> =>
  readdir(join(spillDir(host.parts.config, MIGRATION), '1'));
const saysSo = ({ told }: PaperHost): string[] =>
  told.map(({ text }) => text).filter((text) => text.startsWith('images lie'));

describe('images that find no room in memory', () => {
  test('lie on disk on both hosts, which both say so; the move is as any other, and nothing is left', async () => {
    for (const host of [hosts().source, hosts().target]) host.crowd(1000);
    await hosts().prepare();
    await hosts().preDump(1);
    await hosts().heldOnTarget();
    for (const host of [hosts().source, hosts().target]) {
      expect(await isLink(host)).toBe(true);
      expect(await onDisk(host)).toEqual(['1', 'final']);
      expect(saysSo(host)).toEqual([
        expect.stringMatching(/images lie on disk .* longer: .*\/images on . has room for/),
      ]);
    }
    expect(await hosts().release()).toMatchObject({ decision: 'COMMIT' });
    await hosts().retire();
    await hosts().clean('moved');
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    expect([await hosts().source.images(), await hosts().target.images()]).toEqual([[], []]);
  });

  test('and go when the move is undone', async () => {
    hosts().target.crowd(1000);
    await hosts().heldOnTarget();
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('on the target memory is kept free for the copy itself', async () => {
    for (const host of [hosts().source, hosts().target]) host.crowd(18_000_000);
    await hosts().heldOnTarget();
    expect([await isLink(hosts().source), await isLink(hosts().target)]).toEqual([false, true]);
  });

  test('stay where they are when memory is freed or filled between two rounds', async () => {
    await hosts().prepare();
    await hosts().preDump(1);
    hosts().source.crowd(1000);
    await hosts().heldOnTarget();
    expect(await isLink(hosts().source)).toBe(false);
    expect(saysSo(hosts().source)).toEqual([]);
  });

  test('neither memory nor disk has room: the target is full, and nothing is there', async () => {
    hosts().target.crowd(1000);
    await expect(hosts().prepare(1, { memory: 1e15 })).rejects.toEqual(failure('TARGET_FULL'));
    await hosts().undo();
    await hosts().expectNothingOnTarget();
  });

  test('left by a crash before the journal knew of them, they are found', async () => {
    const { config, journal, machine } = hosts().target.parts;
    const left = spillDir(config, 'm-unknown');
    await machine.files.makeDirectory(left);
    expect(await orphans(config, journal)).toEqual([left]);
  });
});
