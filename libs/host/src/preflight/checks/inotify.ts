/**
 * Watches on overlayfs: CRIU cannot find the watched file again by its handle, only by luck under a few well-known
 * directories (criu/fsnotify.c, criu/irmap.c). Fixed upstream in 2026-06, after 4.2 (criu #3043).
 */
import { findingsByTarget, type Check } from './finding.ts';
import { objectKind } from './kernel-objects.ts';

export const overlayWatches: Check = (snapshot) => {
  if (!isBefore(snapshot.circumstances.criu, [4, 3])) return [];
  const overlays = new Set(
    snapshot.mounts.filter(({ type }) => type === 'overlay').map(({ device }) => device),
  );
  return findingsByTarget(snapshot, ({ target, info }) => {
    const kind = objectKind(target);
    if ((kind !== 'inotify' && kind !== 'fanotify') || !watchedDevices(info).some((dev) => overlays.has(dev)))
      return null;
    return {
      code: 'INOTIFY',
      severity: 'soft',
      reason: `${kind} watches files on overlayfs, which criu ${snapshot.circumstances.criu ?? ''} mostly cannot dump`,
      remedy: 'Watch files on a mount that is no overlay (a volume, a tmpfs), or install criu 4.3 or newer.',
    };
  });
};

/** `sdev` in fdinfo is the kernel's own form of a device number: 12 bits of major, 20 of minor. */
export const watchedDevices = (info: string): string[] =>
  [...info.matchAll(/\bsdev:([0-9a-f]+)/g)].map(([, hex = '0']) => {
    const device = parseInt(hex, 16);
    return `${Math.floor(device / 2 ** 20)}:${device % 2 ** 20}`;
  });

/** Unknown versions count as old. */
export function isBefore(version: string | null, [major, minor]: readonly [number, number]): boolean {
  const [, ownMajor, ownMinor] = /^v?(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (ownMajor === undefined || ownMinor === undefined) return true;
  return Number(ownMajor) < major || (Number(ownMajor) === major && Number(ownMinor) < minor);
}
