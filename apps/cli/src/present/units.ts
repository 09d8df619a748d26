/** Times and sizes for people. */

/** `923 ms`, `1.47 s`, `2 min 5 s`. */
export function time(ms: number): string {
  if (ms < 999.5) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  if (ms < 59_995) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 60 / 24)} days`;
}

const STEPS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Powers of 1000, as disks and networks are sold: `1.1 GB`. */
export function size(bytes: number): string {
  const power = Math.min(STEPS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const amount = bytes / 1000 ** power;
  return `${power === 0 || amount >= 99.95 ? Math.round(amount) : amount.toFixed(1)} ${STEPS[power] ?? ''}`;
}

/** `7 %`; nothing of nothing is 0 %. */
export const share = (part: number, whole: number): string =>
  `${whole > 0 ? Math.round((100 * part) / whole) : 0} %`;
