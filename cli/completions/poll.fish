# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_poll_global_optspecs
    string join \n color= h/help V/version
end

function __fish_poll_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_poll_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_poll_using_subcommand
    set -l cmd (__fish_poll_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c poll -n "__fish_poll_needs_command" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_needs_command" -s V -l version -d 'Print version'
complete -c poll -n "__fish_poll_needs_command" -f -a "demo" -d 'Watch a poll run against a job server on this machine'
complete -c poll -n "__fish_poll_needs_command" -f -a "run" -d 'Run the polls described by specs'
complete -c poll -n "__fish_poll_needs_command" -f -a "wait" -d 'Poll URLs until their responses match'
complete -c poll -n "__fish_poll_needs_command" -f -a "serve" -d 'Run polls as a service with an HTTP API and a page'
complete -c poll -n "__fish_poll_needs_command" -f -a "submit" -d 'Store polls in a file for `poll run --store`'
complete -c poll -n "__fish_poll_needs_command" -f -a "list" -d 'List the polls of a store'
complete -c poll -n "__fish_poll_needs_command" -f -a "show" -d 'Show one poll: its state, its spec, its attempts'
complete -c poll -n "__fish_poll_needs_command" -f -a "cancel" -d 'Cancel open polls of a store'
complete -c poll -n "__fish_poll_needs_command" -f -a "forget" -d 'Remove finished polls from a store'
complete -c poll -n "__fish_poll_needs_command" -f -a "purge" -d 'Remove finished polls by age and number'
complete -c poll -n "__fish_poll_needs_command" -f -a "status" -d 'Show the state of a store, for people and for monitoring'
complete -c poll -n "__fish_poll_needs_command" -f -a "fleet" -d 'Show the workers of a database and their state'
complete -c poll -n "__fish_poll_needs_command" -f -a "backup" -d 'Copy a store, also while it is in use'
complete -c poll -n "__fish_poll_needs_command" -f -a "compact" -d 'Shrink a store file to what is in it'
complete -c poll -n "__fish_poll_needs_command" -f -a "verify" -d 'Check a store file: pages, tables, specs and outcomes'
complete -c poll -n "__fish_poll_needs_command" -f -a "reseal" -d 'Seal the secrets of a store anew, with another key'
complete -c poll -n "__fish_poll_needs_command" -f -a "check" -d 'Find errors in filters, specs and rules'
complete -c poll -n "__fish_poll_needs_command" -f -a "match" -d 'Print the JSON Lines that match a filter'
complete -c poll -n "__fish_poll_needs_command" -f -a "route" -d 'Print which of many rules each event matches'
complete -c poll -n "__fish_poll_needs_command" -f -a "explain" -d 'Explain why events do or do not match a filter'
complete -c poll -n "__fish_poll_needs_command" -f -a "convert" -d 'Convert filters of other dialects to the native one'
complete -c poll -n "__fish_poll_needs_command" -f -a "schema" -d 'Print the JSON Schema of filters or specs'
complete -c poll -n "__fish_poll_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c poll -n "__fish_poll_needs_command" -f -a "man" -d 'Write the man pages into a folder'
complete -c poll -n "__fish_poll_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c poll -n "__fish_poll_using_subcommand demo" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand demo" -l json -d 'Print the whole outcome as one JSON object, whatever the outcome is'
complete -c poll -n "__fish_poll_using_subcommand demo" -s q -l quiet -d 'Print no progress on standard error, only errors'
complete -c poll -n "__fish_poll_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand run" -l store -d 'Keep the polls in this file, so that they survive this process; it is created if missing. With --keep also a database that other workers share, as postgres://USER@HOST/DATABASE' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l lease -d 'With a database: how long the other workers wait for this one when it does not answer, before they take over its polls; 10s unless given' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l scope -d 'The scope of the keys in the store; the default scope if omitted' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l allow-secret -d 'Resolve this secret for this origin also in polls that the store had before: env:TOKEN@https://api.example.com; may be repeated. Without it, secrets are resolved for the given specs only' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l report -d 'Write the outcomes to this file as JUnit XML, for CI systems: a test case per poll' -r -F
complete -c poll -n "__fish_poll_using_subcommand run" -l variable -d 'Fill in {{NAME}} in the specs with VALUE; may be repeated' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l variables-file -d 'Read variables from this file: lines NAME=VALUE, or a JSON object' -r -F
complete -c poll -n "__fish_poll_using_subcommand run" -l spread -d 'Spread the first requests of the polls over their interval, and later ones with them: always, never, or auto: for more than 1000 polls [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand run" -l in-flight -d 'Make at most N requests at once; 256 by default' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l per-origin -d 'Make at most N requests at once to one origin (scheme, host and port); 16 by default' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l keep-finished -d 'Remove finished polls from the store after this time, such as 7d; 30d by default, `forever` keeps them' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l keep-last -d 'Of the finished polls in the store, keep only the N that ended last; all by default' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l cacert -d 'Trust the certificates in this PEM file, in addition to those of the system: an authority\'s, or the very certificate of a server' -r -F
complete -c poll -n "__fish_poll_using_subcommand run" -l cert -d 'Show the certificate in this PEM file to servers that ask for one' -r -F
complete -c poll -n "__fish_poll_using_subcommand run" -l key -d 'The private key of --cert, if it is not in the same file' -r -F
complete -c poll -n "__fish_poll_using_subcommand run" -l proxy -d 'Send requests through this proxy, such as http://proxy:3128 or socks5h://proxy:1080; env:NAME reads it from there, with its password. By default those of http_proxy, https_proxy, all_proxy and no_proxy, in either case; "" for none' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l no-proxy -d 'Ask these hosts directly: names with their subdomains, addresses, networks, separated by commas' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l allow-network -d 'Ask addresses in this network too, such as 169.254.7.0/24; may be repeated. Loopback and private addresses are asked anyway. A cloud\'s metadata service needs its exact address' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l max-body -d 'Reject bodies that are larger than this after decompression, such as 20MiB or 500k; 10MiB by default' -r
complete -c poll -n "__fish_poll_using_subcommand run" -l log -d 'Write a log instead of progress to standard error: lines of text, or of json' -r -f -a "text\t''
json\t''"
complete -c poll -n "__fish_poll_using_subcommand run" -l log-level -d 'What to log: error, warn, info (each poll\'s beginning and end), debug (each request too)' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c poll -n "__fish_poll_using_subcommand run" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand run" -l keep -d 'Keep running when no poll is open, as a service: for polls that `poll submit` stores; exit 0 when stopped'
complete -c poll -n "__fish_poll_using_subcommand run" -l fresh -d 'Forget finished polls with the same keys first, so that they run again'
complete -c poll -n "__fish_poll_using_subcommand run" -l unbounded -d 'Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)'
complete -c poll -n "__fish_poll_using_subcommand run" -l insecure -d 'Accept every certificate of servers. Anyone on the way can then read and change everything'
complete -c poll -n "__fish_poll_using_subcommand run" -l json -d 'Print the whole outcome as one JSON object, whatever the outcome is'
complete -c poll -n "__fish_poll_using_subcommand run" -s q -l quiet -d 'Print no progress on standard error, only errors'
complete -c poll -n "__fish_poll_using_subcommand run" -l no-bodies -d 'Leave the bodies of responses out of the lines of JSON; the store keeps them'
complete -c poll -n "__fish_poll_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand wait" -l until -d 'The response to wait for; any 2xx but 202 by default, and no HTML page that a redirect led to' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l until-body -d 'The body to wait for' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l until-text -d 'The text to wait for anywhere in the body of a 2xx response, whatever its type' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l consecutive -d 'How many responses in a row must match [default: 1]' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l fail-if -d 'The response that means failure; checked first' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l fail-if-body -d 'The body that means failure; checked first' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l every -l interval -d 'The interval between requests, at least 0.1s [default: 10s, or a tenth of a shorter --timeout]' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l backoff -d 'Intervals that grow by half from one request to the next, up to a longest' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l timeout -d 'The timeout, at least 0.1s' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l follow -d 'Go on with the URL that a response names: auto, header:NAME or body:/json/pointer' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l request-timeout -d 'How long one request may take [default: 30s]' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l give-up -d 'Fail after N attempts in a row that cannot get better, such as 401; or never [default: 5]' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -s H -l header -d 'Send this header: \'Name: value\', \'Name: env:VARIABLE\', \'Name: @FILE\'; may be repeated' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l query -d 'Append this parameter to the URLs, encoded: NAME=VALUE, NAME=env:VARIABLE, NAME=@FILE; may be repeated' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -s X -l method -d 'The request\'s method; POST with --data, otherwise GET' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -s d -l data -d 'Send this body: text, @FILE, or @- for standard input. Set the content-type with --header' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l dialect -d 'The dialect of filters: native, trigger-dev or event-bridge' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand wait" -l cacert -d 'Trust the certificates in this PEM file, in addition to those of the system: an authority\'s, or the very certificate of a server' -r -F
complete -c poll -n "__fish_poll_using_subcommand wait" -l cert -d 'Show the certificate in this PEM file to servers that ask for one' -r -F
complete -c poll -n "__fish_poll_using_subcommand wait" -l key -d 'The private key of --cert, if it is not in the same file' -r -F
complete -c poll -n "__fish_poll_using_subcommand wait" -l proxy -d 'Send requests through this proxy, such as http://proxy:3128 or socks5h://proxy:1080; env:NAME reads it from there, with its password. By default those of http_proxy, https_proxy, all_proxy and no_proxy, in either case; "" for none' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l no-proxy -d 'Ask these hosts directly: names with their subdomains, addresses, networks, separated by commas' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l allow-network -d 'Ask addresses in this network too, such as 169.254.7.0/24; may be repeated. Loopback and private addresses are asked anyway. A cloud\'s metadata service needs its exact address' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l max-body -d 'Reject bodies that are larger than this after decompression, such as 20MiB or 500k; 10MiB by default' -r
complete -c poll -n "__fish_poll_using_subcommand wait" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand wait" -l any -d 'End with the first URL that matches'
complete -c poll -n "__fish_poll_using_subcommand wait" -l fail-fast -d 'End with the first URL that fails or times out'
complete -c poll -n "__fish_poll_using_subcommand wait" -l cookies -d 'Keep the cookies that responses set, and send them with later requests of the same poll'
complete -c poll -n "__fish_poll_using_subcommand wait" -l insecure -d 'Accept every certificate of servers. Anyone on the way can then read and change everything'
complete -c poll -n "__fish_poll_using_subcommand wait" -l json -d 'Print the whole outcome as one JSON object, whatever the outcome is'
complete -c poll -n "__fish_poll_using_subcommand wait" -s q -l quiet -d 'Print no progress on standard error, only errors'
complete -c poll -n "__fish_poll_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand serve" -l store -d 'Keep the polls in this file, which is created if missing, or in a database, as postgres://USER@HOST/DATABASE' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l lease -d 'With a database: how long the other workers wait for this one when it does not answer, before they take over its polls; 10s unless given' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l listen -d 'Listen on this address and port; port 0 takes a free one' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l keys -d 'Serve those who have a key of this file (TOML), from any address; see docs/service.md' -r -F
complete -c poll -n "__fish_poll_using_subcommand serve" -l allow-secret -d 'Resolve this secret for this origin: env:TOKEN@https://api.example.com; may be repeated. With --keys, the file says it' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l max-wait -d 'The longest time for which a request may wait for an outcome' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l cacert -d 'Trust the certificates in this PEM file, in addition to those of the system: an authority\'s, or the very certificate of a server' -r -F
complete -c poll -n "__fish_poll_using_subcommand serve" -l cert -d 'Show the certificate in this PEM file to servers that ask for one' -r -F
complete -c poll -n "__fish_poll_using_subcommand serve" -l key -d 'The private key of --cert, if it is not in the same file' -r -F
complete -c poll -n "__fish_poll_using_subcommand serve" -l proxy -d 'Send requests through this proxy, such as http://proxy:3128 or socks5h://proxy:1080; env:NAME reads it from there, with its password. By default those of http_proxy, https_proxy, all_proxy and no_proxy, in either case; "" for none' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l no-proxy -d 'Ask these hosts directly: names with their subdomains, addresses, networks, separated by commas' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l allow-network -d 'Ask addresses in this network too, such as 169.254.7.0/24; may be repeated. Loopback and private addresses are asked anyway. A cloud\'s metadata service needs its exact address' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l max-body -d 'Reject bodies that are larger than this after decompression, such as 20MiB or 500k; 10MiB by default' -r
complete -c poll -n "__fish_poll_using_subcommand serve" -l log -d 'Write a log instead of progress to standard error: lines of text, or of json' -r -f -a "text\t''
json\t''"
complete -c poll -n "__fish_poll_using_subcommand serve" -l log-level -d 'What to log: error, warn, info (each poll\'s beginning and end), debug (each request too)' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c poll -n "__fish_poll_using_subcommand serve" -l config -d 'Read options from this file (TOML) too, such as `listen = "0.0.0.0:7655"`; those of the command line go first' -r -F
complete -c poll -n "__fish_poll_using_subcommand serve" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand serve" -l unbounded -d 'Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)'
complete -c poll -n "__fish_poll_using_subcommand serve" -l insecure -d 'Accept every certificate of servers. Anyone on the way can then read and change everything'
complete -c poll -n "__fish_poll_using_subcommand serve" -s q -l quiet -d 'Print only errors on standard error'
complete -c poll -n "__fish_poll_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand submit" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand submit" -l scope -d 'The scope of the keys; the default scope if omitted' -r
complete -c poll -n "__fish_poll_using_subcommand submit" -l allow-network -d 'Accept URLs with addresses in this network too, as poll run --allow-network asks them; may be repeated' -r
complete -c poll -n "__fish_poll_using_subcommand submit" -l spread -d 'Spread the first requests of the polls over their interval, and later ones with them: always, never, or auto: for more than 1000 polls [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand submit" -l variable -d 'Fill in {{NAME}} in the specs with VALUE; may be repeated' -r
complete -c poll -n "__fish_poll_using_subcommand submit" -l variables-file -d 'Read variables from this file: lines NAME=VALUE, or a JSON object' -r -F
complete -c poll -n "__fish_poll_using_subcommand submit" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand submit" -l fresh -d 'Forget finished polls with the same keys first, so that they run again'
complete -c poll -n "__fish_poll_using_subcommand submit" -l unbounded -d 'Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)'
complete -c poll -n "__fish_poll_using_subcommand submit" -l json -d 'Print one JSON object per poll'
complete -c poll -n "__fish_poll_using_subcommand submit" -s q -l quiet -d 'Print only errors on standard error'
complete -c poll -n "__fish_poll_using_subcommand submit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand list" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand list" -l scope -d 'List this scope only; \'\' is the default scope' -r
complete -c poll -n "__fish_poll_using_subcommand list" -l state -d 'List only polls in this state; may be repeated' -r -f -a "open\t''
cancelling\t''
matched\t''
failed\t''
timed-out\t''
cancelled\t''"
complete -c poll -n "__fish_poll_using_subcommand list" -l prefix -d 'List only polls whose key begins with this text' -r
complete -c poll -n "__fish_poll_using_subcommand list" -l limit -d 'List at most N polls' -r
complete -c poll -n "__fish_poll_using_subcommand list" -l after -d 'List the polls after the one with this key, in the order of the list' -r
complete -c poll -n "__fish_poll_using_subcommand list" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand list" -l json -d 'Print one JSON object per poll'
complete -c poll -n "__fish_poll_using_subcommand list" -s q -l quiet -d 'Print only errors on standard error'
complete -c poll -n "__fish_poll_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand show" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand show" -l scope -d 'The scope of the keys; the default scope if omitted' -r
complete -c poll -n "__fish_poll_using_subcommand show" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand show" -l json -d 'Print one JSON object, the response\'s body included'
complete -c poll -n "__fish_poll_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand cancel" -l keys-from -d 'Read keys from this file too, one per line or separated by NUL; `-` is standard input' -r -F
complete -c poll -n "__fish_poll_using_subcommand cancel" -l prefix -d 'Cancel the open polls of the scope whose key begins with this text' -r
complete -c poll -n "__fish_poll_using_subcommand cancel" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand cancel" -l scope -d 'The scope of the keys; the default scope if omitted' -r
complete -c poll -n "__fish_poll_using_subcommand cancel" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand cancel" -l all -d 'Cancel all open polls of the scope'
complete -c poll -n "__fish_poll_using_subcommand cancel" -l json -d 'Print one JSON object per poll'
complete -c poll -n "__fish_poll_using_subcommand cancel" -s q -l quiet -d 'Print only errors on standard error'
complete -c poll -n "__fish_poll_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand forget" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand forget" -l scope -d 'The scope of the keys; the default scope if omitted' -r
complete -c poll -n "__fish_poll_using_subcommand forget" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand forget" -l json -d 'Print one JSON object per poll'
complete -c poll -n "__fish_poll_using_subcommand forget" -s q -l quiet -d 'Print only errors on standard error'
complete -c poll -n "__fish_poll_using_subcommand forget" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand purge" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand purge" -l older-than -d 'Remove polls that ended longer ago than this' -r
complete -c poll -n "__fish_poll_using_subcommand purge" -l keep -d 'Of the more recent polls, keep only the N that ended last' -r
complete -c poll -n "__fish_poll_using_subcommand purge" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand purge" -l json -d 'Print a JSON object'
complete -c poll -n "__fish_poll_using_subcommand purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand status" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand status" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand status" -l json -d 'Print one JSON object'
complete -c poll -n "__fish_poll_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand fleet" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand fleet" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand fleet" -l json -d 'Print one JSON object'
complete -c poll -n "__fish_poll_using_subcommand fleet" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand backup" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand backup" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand backup" -l json -d 'Print one JSON object'
complete -c poll -n "__fish_poll_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand compact" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand compact" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand compact" -l json -d 'Print one JSON object'
complete -c poll -n "__fish_poll_using_subcommand compact" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand verify" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand verify" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand verify" -l json -d 'Print one JSON object'
complete -c poll -n "__fish_poll_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand reseal" -l store -l server -d 'Where the polls are kept: a file, a database as postgres://USER@HOST/DATABASE, or a service as http://127.0.0.1:7655, whose key is in POLL_KEY' -r
complete -c poll -n "__fish_poll_using_subcommand reseal" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand reseal" -l json -d 'Print one JSON object'
complete -c poll -n "__fish_poll_using_subcommand reseal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand check" -l as -d 'Treat every value as a filter or as a spec, or every line as a rule: filter, spec or rules' -r -f -a "filter\t''
spec\t''
rules\t''"
complete -c poll -n "__fish_poll_using_subcommand check" -l dialect -d 'The dialect of filters: native, trigger-dev or event-bridge' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand check" -l variable -d 'Fill in {{NAME}} in the specs with VALUE; may be repeated' -r
complete -c poll -n "__fish_poll_using_subcommand check" -l variables-file -d 'Read variables from this file: lines NAME=VALUE, or a JSON object' -r -F
complete -c poll -n "__fish_poll_using_subcommand check" -l format -d 'Also print to standard output: json, one object; github, annotations of GitHub Actions' -r -f -a "text\t'Nothing'
json\t'One object with all problems'
github\t'A workflow command per problem'"
complete -c poll -n "__fish_poll_using_subcommand check" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand check" -l unbounded -d 'Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)'
complete -c poll -n "__fish_poll_using_subcommand check" -s q -l quiet -d 'Print errors only: no warnings, no summary'
complete -c poll -n "__fish_poll_using_subcommand check" -l json -d 'The same as --format json'
complete -c poll -n "__fish_poll_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand match" -s f -l filter -d 'The filter: JSON text, or @FILE' -r
complete -c poll -n "__fish_poll_using_subcommand match" -l dialect -d 'The dialect of filters: native, trigger-dev or event-bridge' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand match" -l max-line -d 'The longest line; longer ones are errors' -r
complete -c poll -n "__fish_poll_using_subcommand match" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand match" -s v -l invert-match -d 'Select the lines that do not match'
complete -c poll -n "__fish_poll_using_subcommand match" -s c -l count -d 'Print only the number of selected lines; with several files, FILE:COUNT for each'
complete -c poll -n "__fish_poll_using_subcommand match" -s q -l quiet -d 'Print nothing; exit with 0 at the first selected line'
complete -c poll -n "__fish_poll_using_subcommand match" -l line-buffered -d 'Flush every match at once, as on a terminal, even while more input is available'
complete -c poll -n "__fish_poll_using_subcommand match" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand route" -s r -l rules -d 'The rules: a file of JSON Lines; `-` is standard input' -r -F
complete -c poll -n "__fish_poll_using_subcommand route" -l dialect -d 'The dialect of filters: native, trigger-dev or event-bridge' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand route" -l else -d 'Print this id for events that match no rule' -r
complete -c poll -n "__fish_poll_using_subcommand route" -l max-line -d 'The longest line; longer ones are errors' -r
complete -c poll -n "__fish_poll_using_subcommand route" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand route" -l stats -d 'Print statistics to standard error: memory, indexes, and the rules that are checked against every event'
complete -c poll -n "__fish_poll_using_subcommand route" -l json -d 'Print objects: {"line": 3, "ids": […]}'
complete -c poll -n "__fish_poll_using_subcommand route" -l events -d 'Print the events with their ids: {"line": 3, "ids": […], "event": {…}}'
complete -c poll -n "__fish_poll_using_subcommand route" -l why -d 'Print for each id the conditions that held: {"line": 3, "ids": […], "why": […]}'
complete -c poll -n "__fish_poll_using_subcommand route" -l first -d 'Print only the first rule that matches: the order of the rules is their priority'
complete -c poll -n "__fish_poll_using_subcommand route" -l hits -d 'In the end, print to standard error how many events each rule got, and which rules got none'
complete -c poll -n "__fish_poll_using_subcommand route" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand explain" -s f -l filter -d 'The filter: JSON text, or @FILE' -r
complete -c poll -n "__fish_poll_using_subcommand explain" -l dialect -d 'The dialect of filters: native, trigger-dev or event-bridge' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand explain" -l max-line -d 'The longest line; longer ones are errors' -r
complete -c poll -n "__fish_poll_using_subcommand explain" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand explain" -l json -d 'Print one JSON object per event'
complete -c poll -n "__fish_poll_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand convert" -l from -d 'The dialect of the filters: trigger-dev or event-bridge; native filters are printed unchanged' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand convert" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand convert" -l assume-flat-arrays -d 'Assume that no event has an array inside an array'
complete -c poll -n "__fish_poll_using_subcommand convert" -l assume-no-arrays -d 'Assume that the fields of the filters are never arrays, nor inside arrays'
complete -c poll -n "__fish_poll_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand schema" -l dialect -d 'The dialect of filters: native, trigger-dev or event-bridge' -r -f -a "native\t''
trigger-dev\t''
event-bridge\t''"
complete -c poll -n "__fish_poll_using_subcommand schema" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand schema" -l unbounded -d 'Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)'
complete -c poll -n "__fish_poll_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand completions" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand man" -l color -d 'Colour the output: auto, always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c poll -n "__fish_poll_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "demo" -d 'Watch a poll run against a job server on this machine'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "run" -d 'Run the polls described by specs'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "wait" -d 'Poll URLs until their responses match'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "serve" -d 'Run polls as a service with an HTTP API and a page'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "submit" -d 'Store polls in a file for `poll run --store`'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "list" -d 'List the polls of a store'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "show" -d 'Show one poll: its state, its spec, its attempts'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "cancel" -d 'Cancel open polls of a store'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "forget" -d 'Remove finished polls from a store'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "purge" -d 'Remove finished polls by age and number'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "status" -d 'Show the state of a store, for people and for monitoring'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "fleet" -d 'Show the workers of a database and their state'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "backup" -d 'Copy a store, also while it is in use'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "compact" -d 'Shrink a store file to what is in it'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "verify" -d 'Check a store file: pages, tables, specs and outcomes'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "reseal" -d 'Seal the secrets of a store anew, with another key'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "check" -d 'Find errors in filters, specs and rules'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "match" -d 'Print the JSON Lines that match a filter'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "route" -d 'Print which of many rules each event matches'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "explain" -d 'Explain why events do or do not match a filter'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "convert" -d 'Convert filters of other dialects to the native one'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "schema" -d 'Print the JSON Schema of filters or specs'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "completions" -d 'Print the completions of a shell'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "man" -d 'Write the man pages into a folder'
complete -c poll -n "__fish_poll_using_subcommand help; and not __fish_seen_subcommand_from demo run wait serve submit list show cancel forget purge status fleet backup compact verify reseal check match route explain convert schema completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
