/** `HOST`, `HOST:/bundle`, `user@host:/bundle`, `[fe80::1]:/bundle`: one end of a migration as it is typed. */
import { AbsolutePath } from '@cmt/contracts';
import { invalid } from './invalid.ts';

export interface Location {
  /** A registered name, or the address that a registered host announces. */
  readonly host: string;
  readonly bundle?: string;
}

const FORM = /^(?:[^@:/[\]\s]+@)?(?:\[([0-9a-fA-F:.%]+)\]|([^@:/[\]\s]+))(?::(.*))?$/s;

/**
 * The user in front of `@` is read and left alone: workers know how they reach each other.
 * @throws {CmtError} REQUEST_INVALID naming `flag`.
 */
export function parseLocation(flag: string, text: string): Location {
  const match = FORM.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw invalid(flag, `'${text}' is neither HOST nor HOST:/path/of/bundle`);
  const path = match?.[3];
  return path === undefined ? { host } : { host, bundle: parseBundle(flag, path) };
}

function parseBundle(flag: string, text: string): string {
  const path = AbsolutePath.safeParse(text.length > 1 ? text.replace(/\/$/, '') : text);
  if (path.success) return path.data;
  const problem = path.error.issues.map(({ message }) => message).join(', ');
  throw invalid(flag, `'${text}' is not usable as the path of a bundle (${problem})`);
}
