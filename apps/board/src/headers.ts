/** What a browser may do with the board's pages: nothing from elsewhere, nothing inline, nothing framed. */
import type { RequestHandler } from 'express';

const policy = (style: string): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src ${style}`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');

/** Bull Board sets styles from its scripts and in its page. */
const OWN = policy("'self'");
const BULL_BOARD = policy("'self' 'unsafe-inline'");

export const strictHeaders: RequestHandler = (request, response, next) => {
  response.set({
    'content-security-policy': request.path.startsWith('/queues') ? BULL_BOARD : OWN,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'cache-control': 'no-store',
  });
  next();
};
