/** The look, in pixels: the page's own sizes, colours and rules stay outside. */

import type { Config } from "./config";
import { accentOf, onAccent, ringOn } from "./colours";

/** A sheet that is made by a script, which no policy of the page forbids, unlike a style element. */
export function sheetOf(config: Config): CSSStyleSheet {
  const accent = accentOf(config.color);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`${CSS}.root{--accent:${accent};--on-accent:${onAccent(accent)};--ring:${ringOn("#ffffff", accent, "#15171c")}}.root.dark{--ring:${ringOn("#17181d", accent, "#f3f4f6")}}`);
  return sheet;
}

const CSS = `
:host{all:initial!important;display:block!important;position:fixed!important;inset:auto 0 0 auto!important;width:0!important;height:0!important;overflow:visible!important;z-index:2147483647!important}
@media print{:host{display:none!important}}
*,::before,::after{box-sizing:border-box;margin:0;padding:0}
.root{--page:#fff;--ink:#15171c;--soft:#545a66;--line:#e4e6eb;--edge:#8b919d;--said:#f3f4f7;--tint:#e4e5fb;--on-tint:#312e81;--bad:#b42318;--float:0 1px 3px rgb(20 23 40/.12),0 16px 44px rgb(20 23 40/.2);
 color-scheme:light;color:var(--ink);font:400 15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;text-align:left;direction:ltr;-webkit-font-smoothing:antialiased;-webkit-text-size-adjust:100%}
.root.dark{--page:#17181d;--ink:#f3f4f6;--soft:#a7abb6;--line:#2c2e36;--edge:#6f7480;--said:#24262d;--tint:#33376b;--on-tint:#e0e2ff;--bad:#fb8e85;--float:0 0 0 1px #2c2e36,0 16px 44px rgb(0 0 0/.6);color-scheme:dark}
[hidden]{display:none!important}
button{font:inherit;color:inherit;background:none;border:0;cursor:pointer;-webkit-tap-highlight-color:transparent}
button:disabled{cursor:default}
:focus-visible{outline:2px solid var(--ink);outline-offset:2px}
.icon{width:22px;height:22px;display:block;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.launcher{position:fixed;right:20px;bottom:calc(20px + env(safe-area-inset-bottom,0px));width:56px;height:56px;border-radius:50%;display:grid;place-items:center;background:var(--accent);color:var(--on-accent);box-shadow:var(--float);transition:transform .15s}
.launcher:hover{transform:scale(1.05)}
.launcher .icon{width:26px;height:26px}
.unread::after{content:"";position:absolute;top:2px;right:2px;width:14px;height:14px;border-radius:50%;background:#e5484d;border:2px solid var(--page)}
.panel{position:fixed;right:20px;bottom:calc(90px + env(safe-area-inset-bottom,0px));width:380px;max-width:calc(100vw - 40px);height:min(620px,100vh - 110px);height:min(620px,100dvh - 110px);display:flex;flex-direction:column;background:var(--page);border-radius:16px;box-shadow:var(--float);overflow:hidden;animation:rise .16s ease-out}
.left .launcher,.left .panel{right:auto;left:20px}
@keyframes rise{from{opacity:0;transform:translateY(8px)}}
.head{flex:none;display:flex;align-items:center;gap:12px;padding:14px 10px 14px 18px;background:var(--accent);color:var(--on-accent)}
.head div{flex:1;min-width:0}
.head h2{font-size:16px;font-weight:650;line-height:1.3;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.head p{font-size:13px;line-height:1.35}
.head button{padding:9px;border-radius:10px}
.head button:hover{background:rgb(127 127 127/.25)}
.head :focus-visible{outline-color:var(--on-accent);outline-offset:-3px}
.lost{flex:none;padding:7px 18px;font-size:13px;background:var(--said);color:var(--ink);border-bottom:1px solid var(--line)}
.log{flex:1;min-height:0;overflow-y:auto;overscroll-behavior:contain;padding:16px;display:flex;flex-direction:column;gap:10px}
.log:focus-visible{outline-offset:-3px}
.row{display:flex;flex-direction:column;align-items:flex-start;max-width:86%;position:relative}
.row.visitor{align-self:flex-end;align-items:flex-end}
.bubble{padding:9px 13px;border-radius:14px;background:var(--said);overflow-wrap:anywhere;max-width:100%;display:flex;flex-direction:column;gap:7px}
.assistant .bubble,.person .bubble{border-bottom-left-radius:5px}
.person .bubble{background:var(--tint);color:var(--on-tint)}
.visitor .bubble{background:var(--accent);color:var(--on-accent);border-bottom-right-radius:5px}
.visitor :focus-visible{outline-color:var(--ink)}
.bubble p,.bubble blockquote,.bubble li{white-space:pre-line}
.visitor p,.person p{white-space:pre-wrap}
.heading{font-weight:650}
ul{list-style:none;display:flex;flex-direction:column;gap:4px}
li{display:flex;gap:8px}
.marker{flex:none;min-width:9px}
.level-1{padding-left:16px}.level-2{padding-left:32px}.level-3{padding-left:48px}
blockquote{padding-left:10px;border-left:3px solid var(--edge)}
code{font:13px/1.4 ui-monospace,"SFMono-Regular",Menlo,Consolas,monospace}
pre{overflow-x:auto;white-space:pre;padding:8px 10px;border-radius:8px;background:var(--page);border:1px solid var(--line)}
.bubble a,.note a{color:inherit;text-decoration:underline;text-underline-offset:2px}
.chip{display:inline-grid;place-items:center;min-width:24px;height:24px;margin:-3px 1px -3px 3px;padding:0 6px;border-radius:7px;background:var(--tint);color:var(--on-tint);font-size:12px;font-weight:650;line-height:1;vertical-align:baseline}
.chip:hover,.chip[aria-expanded=true]{background:var(--on-tint);color:var(--tint)}
.sources{display:flex;gap:4px}
.sources .chip{margin:0}
.name{font-size:12px;font-weight:600;color:var(--soft);margin:0 0 3px 4px}
.notice{margin:5px 4px 0;font-size:13px;color:var(--soft);white-space:pre-line}
.sending .bubble{opacity:.75}
.problem{margin:4px 2px 0;font-size:13px;color:var(--bad);text-align:right}
.link{text-decoration:underline;text-underline-offset:2px;font-weight:600;min-height:24px}
.earlier{align-self:center;font-size:13px;color:var(--soft);padding:4px 10px;min-height:28px}
.centre{margin:auto;text-align:center;color:var(--soft);display:flex;flex-direction:column;gap:12px;align-items:center;padding:0 16px}
.centre .again,.suggestion{padding:8px 14px;border:1px solid var(--edge);border-radius:12px;color:var(--ink);background:var(--page)}
.centre .again:hover,.suggestion:hover{background:var(--said)}
.suggestions{display:flex;flex-direction:column;align-items:flex-end;gap:7px;margin-top:6px}
.suggestion{font-size:14px;text-align:left;max-width:86%}
.dots{display:flex;gap:4px;padding:13px 14px;border-radius:14px;border-bottom-left-radius:5px;background:var(--said);align-self:flex-start}
.dots i{width:7px;height:7px;border-radius:50%;background:var(--soft);animation:breathe 1.2s infinite}
.dots i:nth-child(2){animation-delay:.15s}.dots i:nth-child(3){animation-delay:.3s}
@keyframes breathe{0%,60%,100%{opacity:.3}30%{opacity:1}}
.foot{flex:none;border-top:1px solid var(--line);padding:12px 14px calc(10px + env(safe-area-inset-bottom,0px))}
form{display:flex;gap:8px;align-items:flex-end}
textarea{flex:1;min-width:0;height:44px;max-height:132px;resize:none;padding:10px 13px;border:1px solid var(--edge);border-radius:12px;background:var(--page);color:var(--ink);font:inherit;font-size:16px;line-height:22px;outline-offset:0}
.bound{white-space:nowrap}
textarea:focus-visible{outline:1px solid var(--ring);outline-offset:0;border-color:var(--ring)}
textarea::placeholder{color:var(--soft);opacity:1}
.send{flex:none;width:44px;height:44px;border-radius:12px;display:grid;place-items:center;background:var(--accent);color:var(--on-accent)}
.send:disabled{background:var(--said);color:var(--soft)}
.note{margin-top:6px;min-height:24px;font-size:12px;line-height:1.4;color:var(--soft);display:flex;flex-wrap:wrap;justify-content:space-between;gap:2px 12px;align-items:center}
.note .link{color:var(--ink)}
.source{position:absolute;left:14px;right:14px;z-index:1;max-height:min(320px,70%);overflow-y:auto;background:var(--page);border:1px solid var(--line);border-radius:12px;box-shadow:var(--float);padding:12px 14px 14px;display:flex;flex-direction:column;gap:8px}
.source header{display:flex;gap:8px;align-items:flex-start}
.source h3{flex:1;min-width:0;font-size:15px;font-weight:650;line-height:1.35;overflow-wrap:anywhere;padding-top:3px}
.source header button{flex:none;padding:5px;margin:-2px -6px 0 0;border-radius:8px;color:var(--soft)}
.source header .icon{width:18px;height:18px}
.place{font-size:13px;color:var(--soft)}
.source blockquote{font-size:14px;border-left-color:var(--ring);white-space:pre-line;overflow-wrap:anywhere;color:var(--soft)}
.source mark{background:none;color:var(--ink)}
.source a{color:var(--ink);font-size:14px;font-weight:600;text-underline-offset:2px;align-self:flex-start}
.frame .panel{inset:0;width:auto;max-width:none;height:auto;border-radius:0;box-shadow:none;animation:none}
@media(max-width:520px){
 .panel{inset:0!important;width:auto;max-width:none;height:100vh;height:100dvh;border-radius:0;box-shadow:none}
 .opened .launcher{display:none}
}
@media(prefers-reduced-motion:reduce){*{animation:none!important;transition:none!important}}
@media(forced-colors:active){.bubble,.panel,.launcher,.chip{border:1px solid}}
`;
