/** `HOST`, `HOST:/bundle`, `user@host:/bundle`, `ssh://user@host:port/bundle`: one end of a migration as it is typed. */
import { AbsolutePath } from '@cmt/contracts';
import { invalid } from './invalid.ts';

export interface Location {
  /** A registered name, or the address that a registered host announces; or what ssh(1) calls the machine. */
  readonly host: string;
  readonly bundle?: string;
  /** Typed as ssh would want it: with a user, or as `ssh://…`. In a fleet this is left alone: workers know how they reach each other. */
  readonly ssh?: { readonly user?: string; readonly port?: number };
}

const HOST = String.raw`(?:\[([0-9a-fA-F:.%]+)\]|([^@:/[\]\s]+))`;
const USER = String.raw`(?:([^@:/[\]\s]+)@)?`;
const PLAIN = new RegExp(`^${USER}${HOST}(?::(.*))?$`, 's');
const URL = new RegExp(`^ssh://${USER}${HOST}(?::(\\d{1,5}))?(/.*)?$`, 's');

/** @throws {CmtError} REQUEST_INVALID naming `flag`. */
export function parseLocation(flag: string, text: string): Location {
  const isUrl = text.startsWith('ssh://');
  const [, user, address, name, port, urlPath] = (isUrl ? URL : PLAIN).exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined) throw invalid(flag, `'${text}' is neither HOST nor HOST:/path/of/bundle`);
  const path = isUrl ? urlPath : port;
  const ssh = { ...(user === undefined ? {} : { user }), ...(isUrl && port ? { port: Number(port) } : {}) };
  return {
    host,
    ...(path === undefined ? {} : { bundle: parseBundle(flag, path) }),
    ...(isUrl || user !== undefined ? { ssh } : {}),
  };
}

function parseBundle(flag: string, text: string): string {
  const path = AbsolutePath.safeParse(text.length > 1 ? text.replace(/\/$/, '') : text);
  if (path.success) return path.data;
  const problem = path.error.issues.map(({ message }) => message).join(', ');
  throw invalid(flag, `'${text}' is not usable as the path of a bundle (${problem})`);
}
