/** The catalogue's part about the board. */
import { entry, type Entry } from '../reaction.ts';

export const boardErrors = {
  BOARD_CANNOT_LISTEN: entry(
    'refuse',
    'The board cannot listen on {address}: {reason}.',
    'Choose another address or port: `cmt board --board-address ADDRESS --board-port PORT`.',
  ),
  BOARD_TOKEN_UNUSABLE: entry(
    'refuse',
    'The token of the board, from {where}, cannot be used: {problem}.',
    'Use 16 to 256 letters, digits and -._~+/= on one line, for example from `openssl rand -hex 32`.',
  ),
} as const satisfies Record<string, Entry>;
