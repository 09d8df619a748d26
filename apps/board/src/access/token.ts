/** The token of the board: who knows it may look. */
import { CmtError, type BoardConfig } from '@cmt/contracts';
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Characters that go unchanged through headers, forms and addresses; long enough not to be guessed. */
const USABLE = /^[\w\-.~+/=]{16,256}$/;

export interface Token {
  readonly secret: string;
  /** Where it is from, for people: a file, or the name of a setting. */
  readonly from: string;
}

type Settings = Pick<BoardConfig, 'boardToken' | 'boardTokenFile' | 'stateDir'>;

/**
 * The configured token, the one in the configured file, or the one that is kept in the state directory (0600), made when
 * it is not there yet.
 * @throws {CmtError} BOARD_TOKEN_UNUSABLE
 */
export async function boardToken({ boardToken: given, boardTokenFile, stateDir }: Settings): Promise<Token> {
  if (given !== undefined) return usable(given, 'CMT_BOARD_TOKEN');
  const file = boardTokenFile ?? join(stateDir, 'board-token');
  if (boardTokenFile === undefined) await makeOnce(stateDir, file);
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unusable(file, error instanceof Error ? error.message : String(error));
  });
  return usable(text.trim(), file);
}

/** Two boards that start at once make one token: the first file stays. */
async function makeOnce(directory: string, file: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

function usable(secret: string, from: string): Token {
  if (!USABLE.test(secret))
    throw unusable(from, 'it is too short, or holds characters other than letters, digits and -._~+/=');
  return { secret, from };
}

const unusable = (where: string, problem: string): CmtError =>
  new CmtError('BOARD_TOKEN_UNUSABLE', { where, problem });
