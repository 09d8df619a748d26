/** Nobody sees anything without the token: a cookie for browsers, a bearer token for programs. */
import { Router, urlencoded, type Request, type RequestHandler, type Response } from 'express';
import { loginPage } from '../shell.ts';
import { COOKIE, cookieOf, SESSION_MS, type Sessions } from './session.ts';

/** `/login`, `/logout`, and `?token=` on any page, which is taken out of the address at once. */
export function loginRoutes(sessions: Sessions): Router {
  const routes = Router();
  const enter = (response: Response, where: string): void => {
    const cookie = `${COOKIE}=${sessions.begin(Date.now())}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${SESSION_MS / 1000}`;
    response.set('set-cookie', cookie).redirect(303, where);
  };
  routes.use((request, response, next) => {
    const { token, ...rest } = request.query;
    if (token === undefined || request.method !== 'GET') next();
    else if (!sessions.opens(token)) refuse(response, 401, loginPage('That is not the token.'));
    else enter(response, withQuery(request.path, rest));
  });
  routes.get('/login', (_request, response) => void response.send(loginPage()));
  routes.post('/login', sameSite, urlencoded({ extended: false, limit: '4kb' }), (request, response) => {
    const { token } = (request.body ?? {}) as { token?: unknown };
    if (sessions.opens(typeof token === 'string' ? token.trim() : token)) enter(response, '/');
    else refuse(response, 401, loginPage('That is not the token.'));
  });
  routes.post('/logout', sameSite, (_request, response) => {
    response.set('set-cookie', `${COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`);
    response.redirect(303, '/login');
  });
  return routes;
}

/** Lets through who has shown the token. */
export const guard =
  (sessions: Sessions): RequestHandler =>
  (request, response, next) => {
    const bearer = /^Bearer (.+)$/.exec(request.get('authorization') ?? '')?.[1];
    const cookie = cookieOf(request.get('cookie'), COOKIE);
    if (sessions.opens(bearer) || sessions.isOpen(cookie, Date.now())) next();
    else if (wantsPage(request)) response.redirect(303, '/login');
    else refuse(response.set('www-authenticate', 'Bearer'), 401, 'The token of the board is needed.\n');
  };

/** What changes anything comes from the board's own pages. */
export const sameSite: RequestHandler = (request, response, next) => {
  const site = request.get('sec-fetch-site');
  if (site === undefined || site === 'same-origin' || site === 'none') next();
  else refuse(response, 403, 'That was asked for from another site.\n');
};

const wantsPage = (request: Request): boolean =>
  request.method === 'GET' && (request.get('accept') ?? '').includes('text/html');

function withQuery(path: string, query: Request['query']): string {
  const kept = new URLSearchParams(
    Object.entries(query).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  ).toString();
  // `//host` would be another site.
  const local = `/${path.replace(/^\/+/, '')}`;
  return kept === '' ? local : `${local}?${kept}`;
}

const refuse = (response: Response, status: number, body: string): void =>
  void response.status(status).send(body);
