# ldfleet agent, protocol 1 (docs/protocol.md)
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# Acts on a Windows host: it carries out a batch of operations and decides nothing. It runs in Windows
# PowerShell 5.1 and in PowerShell 7, is ASCII, and keeps to the language, .NET and ConvertFrom-Json, ConvertTo-Json, New-Object, Where-Object,
# ForEach-Object.
param($request)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$PSDefaultParameterValues = @{}
$latin1 = [Text.Encoding]::GetEncoding(28591)
$utf8 = New-Object Text.UTF8Encoding($false)

# ---- values -------------------------------------------------------------------------------------------------------------------------
function Get-Field($object, [string]$name, $default) {
    if ($null -eq $object) { return $default }
    $property = $object.PSObject.Properties[$name]
    if ($null -eq $property -or $null -eq $property.Value) { return $default }
    return , $property.Value
}

# A list as its elements, also when it holds one or none.
function Get-List($object, [string]$name) {
    $found = Get-Field $object $name $null
    foreach ($item in $found) { $item }
}

# A failure that an operation reports; everything else that escapes one is a bug (AgentFault).
function New-Failure([string]$code, [string]$message) { return @{ code = $code; message = $message } }

function Stop-Operation([string]$code, [string]$message) {
    $failure = New-Object InvalidOperationException($message)
    $failure.Data['code'] = $code
    throw $failure
}

# .NET's exceptions as the protocol's codes. On Windows the low word of HResult is the Win32 error; elsewhere the type must do.
function Get-Failure($record) {
    $problem = $record.Exception
    while ($null -ne $problem) {
        if ($problem.Data.Contains('code')) { return New-Failure $problem.Data['code'] $problem.Message }
        if ($null -eq $problem.InnerException) { break }
        $problem = $problem.InnerException
    }
    $code = switch ($problem.HResult -band 0xFFFF) {
        2 { 'NotFound' } 3 { 'NotFound' } 5 { 'AccessDenied' } 32 { 'Locked' } 33 { 'Locked' } 39 { 'DiskFull' } 112 { 'DiskFull' } default { '' }
    }
    if ($problem -is [IO.FileNotFoundException] -or $problem -is [IO.DirectoryNotFoundException]) { $code = 'NotFound' }
    elseif ($problem -is [UnauthorizedAccessException]) { $code = 'AccessDenied' }
    elseif (-not ($problem -is [IO.IOException]) -or $code -eq '') { $code = 'IoError' }
    return New-Failure $code $problem.Message
}

function Get-Hash([byte[]]$bytes) {
    $algorithm = [Security.Cryptography.SHA256]::Create()
    return [BitConverter]::ToString($algorithm.ComputeHash($bytes)).Replace('-', '').ToLowerInvariant()
}

# ---- the request --------------------------------------------------------------------------------------------------------------------
# Each operation with the keys that it must and may have beside id, op, needs and always.
$operations = @{
    find   = @{ must = @('candidates', 'file'); may = @() }
    exec   = @{ must = @('program', 'arguments', 'timeout_ms', 'output_cap'); may = @('exits', 'match') }
    until  = @{ must = @('program', 'arguments', 'timeout_ms', 'output_cap', 'pattern', 'interval_ms', 'deadline_ms'); may = @() }
    read   = @{ must = @('folder', 'pattern', 'content', 'max_bytes'); may = @('head', 'space', 'folders', 'link') }
    write  = @{ must = @('path', 'data', 'expect'); may = @('parents', 'keep') }
    remove = @{ must = @('path', 'expect'); may = @('tree') }
    copy   = @{ must = @('from', 'path', 'expect'); may = @('parents') }
    fetch  = @{ must = @('url', 'path', 'sha256', 'max_bytes', 'timeout_ms'); may = @() }
    each   = @{ must = @('over', 'pattern', 'program', 'arguments', 'timeout_ms', 'output_cap'); may = @() }
    pause  = @{ must = @('ms'); may = @() }
    lease  = @{ must = @('action', 'token', 'holder', 'ms'); may = @() }
}

# What each key holds.
$kinds = @{
    protocol = 'number'; id = 'text'; slice_ms = 'number'; lock_ms = 'number'; once = 'switch'; ops = 'list'; op = 'text'; needs = 'texts'
    always = 'switch'; candidates = 'candidates'; file = 'text'; program = 'text'; arguments = 'text'; timeout_ms = 'number'
    output_cap = 'number'; exits = 'codes'; match = 'texts'; pattern = 'text'; interval_ms = 'number'; deadline_ms = 'number'
    desktop = 'text'; note = 'any'; from = 'text'; url = 'text'; sha256 = 'text'; over = 'text'; ms = 'number'; action = 'text'; token = 'text'
    holder = 'text'; folder = 'text'; content = 'switch'; max_bytes = 'size'; head = 'number'; space = 'switch'; folders = 'switch'; link = 'switch'
    path = 'text'; data = 'text'; expect = 'text'; parents = 'switch'; keep = 'text'; tree = 'switch'
}

function Test-Kind($value, [string]$kind) {
    $whole = $value -is [int] -or $value -is [long]
    switch ($kind) {
        'any' { return $true }
        'text' { return $value -is [string] }
        'switch' { return $value -is [bool] }
        'code' { return $whole }
        'size' { return $whole -and $value -ge 0 }
        'number' { return $whole -and $value -ge 0 -and $value -le [int]::MaxValue }
        'candidate' {
            if ((Get-Field $value 'path' $null) -is [string]) { return $true }
            return (Get-Field $value 'registry' $null) -is [string] -and (Get-Field $value 'value' $null) -is [string]
        }
        'list' { return $value -is [array] }
    }
    if ($value -isnot [array]) { return $false }
    foreach ($item in $value) {
        if (-not (Test-Kind $item $kind.TrimEnd('s'))) { return $false }
    }
    return $true
}

function Assert-Keys($object, [string]$about, $must, $may) {
    foreach ($key in $must) {
        if ($null -eq $object.PSObject.Properties[$key]) { Stop-Operation 'BadRequest' "$about has no $key" }
    }
    foreach ($property in $object.PSObject.Properties) {
        if (($must + $may) -cnotcontains $property.Name) { Stop-Operation 'BadRequest' "$about has the unknown key $($property.Name)" }
        if (-not (Test-Kind $property.Value $kinds[$property.Name])) { Stop-Operation 'BadRequest' "$about has a $($property.Name) of another kind" }
    }
}

function Assert-Batch($batch) {
    Assert-Keys $batch 'the batch' @('protocol', 'id', 'slice_ms', 'lock_ms', 'once', 'desktop', 'note', 'ops') @()
    $known = @()
    foreach ($operation in $batch.ops) {
        $id = [string](Get-Field $operation 'id' '')
        if ($id -cnotmatch '\A[a-z0-9_.-]{1,64}\z') { Stop-Operation 'BadRequest' "'$id' is no operation id" }
        if ($known -ccontains $id) { Stop-Operation 'BadRequest' "the id $id stands there twice" }
        $name = [string](Get-Field $operation 'op' '')
        if (@($operations.Keys) -cnotcontains $name) { Stop-Operation 'UnknownOperation' "'$name' is no operation" }
        Assert-Keys $operation $id (@('id', 'op') + $operations[$name].must) (@('needs', 'always') + $operations[$name].may)
        foreach ($need in Get-List $operation 'needs') {
            if ($known -cnotcontains $need) { Stop-Operation 'BadRequest' "$id needs $need, which is no earlier operation" }
        }
        $known += $id
    }
}

# ---- variables ----------------------------------------------------------------------------------------------------------------------
$variables = @{ programdata = $env:ProgramData; systemroot = $env:SystemRoot }

# The variable at the beginning of a path: its name, or nothing.
function Get-VariableName([string]$text) {
    $found = [regex]::Match($text, '\A\{([a-z0-9_.-]{1,64})\}')
    if ($found.Success) { return $found.Groups[1].Value }
    return ''
}

function Expand-Variable([string]$text) {
    $name = Get-VariableName $text
    if ($name -eq '') { return $text }
    return $variables[$name] + $text.Substring($name.Length + 2)
}

# A path that depends on no current folder or drive.
function Test-FullPath([string]$path) { return $path -match '\A(?:[A-Za-z]:[\\/]|\\\\|/)' }

function Get-FullPath([string]$text) {
    $path = Expand-Variable $text
    if (-not (Test-FullPath $path)) { Stop-Operation 'BadRequest' "$path is not a full path" }
    return $path
}

# ---- find ---------------------------------------------------------------------------------------------------------------------------
function Get-RegistryText([string]$key, [string]$value) {
    $parts = $key.Split([char[]]'\', 2)
    $hive = switch ($parts[0]) {
        'HKCU' { [Microsoft.Win32.Registry]::CurrentUser } 'HKLM' { [Microsoft.Win32.Registry]::LocalMachine } 'HKU' { [Microsoft.Win32.Registry]::Users }
        default { $null }
    }
    if ($null -eq $hive -or $parts.Count -lt 2) { return @() }
    $paths = @($parts[1])
    if ($parts[0] -eq 'HKU' -and $parts[1].StartsWith('*\')) {
        $users = [string[]]$hive.GetSubKeyNames()
        [Array]::Sort($users, [StringComparer]::Ordinal)
        $paths = @($users | ForEach-Object { $_ + $parts[1].Substring(1) })
    }
    foreach ($path in $paths) {
        try { $opened = $hive.OpenSubKey($path) } catch [Security.SecurityException] { $opened = $null }
        if ($null -eq $opened) { continue }
        $text = $opened.GetValue($value)
        $opened.Close()
        if ($text -is [string]) { $text }
    }
}

function Get-CandidateFolder($candidate) {
    $named = @()
    if ($null -ne $candidate.PSObject.Properties['path']) { $named = @([string]$candidate.path) }
    else {
        # A registry that cannot be read (no rights, no registry at all) is a candidate that does not match.
        try { $named = @(Get-RegistryText $candidate.registry $candidate.value) }
        catch [PlatformNotSupportedException] { $named = @() }
        catch [UnauthorizedAccessException] { $named = @() }
        catch [IO.IOException] { $named = @() }
    }
    foreach ($text in $named) {
        $folder = $text.Trim()
        if (Get-Field $candidate 'parent' $false) {
            $folder = [regex]::Replace($folder, ',-?\d+\z', '').Trim('"')
            try { $folder = [IO.Path]::GetDirectoryName($folder) } catch [ArgumentException] { continue }
        }
        if (-not [string]::IsNullOrEmpty($folder)) { $folder }
    }
}

function Invoke-Find($operation, $result) {
    $position = -1
    foreach ($candidate in $operation.candidates) {
        $position += 1
        foreach ($folder in @(Get-CandidateFolder $candidate)) {
            $full = $folder.TrimEnd('\', '/')
            if ($full.EndsWith(':')) { $full += '\' }
            if (-not (Test-FullPath $full)) { continue }
            try { $there = [IO.File]::Exists([IO.Path]::Combine($full, $operation.file)) } catch [ArgumentException] { continue }
            if (-not $there) { continue }
            $result.path = $full
            $result.candidate = $position
            $result.free_bytes = Get-FreeSpace $full
            $variables[$operation.id] = $full
            return
        }
    }
    Stop-Operation 'NotFound' "no candidate holds $($operation.file)"
}

# ---- exec, until --------------------------------------------------------------------------------------------------------------------
function Stop-Tree($process) {
    $whole = $process.GetType().GetMethod('Kill', [Type[]]@([bool]))
    try {
        if ($null -ne $whole) { $process.Kill($true); return }
        $start = New-Object Diagnostics.ProcessStartInfo([IO.Path]::Combine($env:SystemRoot, 'System32\taskkill.exe'), "/PID $($process.Id) /T /F")
        $start.UseShellExecute = $false
        $start.CreateNoWindow = $true
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        $killer = [Diagnostics.Process]::Start($start)
        [void]$killer.WaitForExit(10000)
        if (-not $process.HasExited) { $process.Kill() }
    }
    catch [InvalidOperationException] { return }  # it ended meanwhile
    catch [ComponentModel.Win32Exception] { return }
}

# Both pipes at the same time, and the end of the process ends the wait: a launched emulator inherits the pipes and keeps them open.
# One look at a running program: takes what has arrived, and says whether it is done.
function Test-Done($run) {
    if ($run.ended -lt 0 -and $run.process.HasExited) { $run.ended = $run.clock.ElapsedMilliseconds }
    foreach ($pipe in $run.pipes) {
        if ($null -eq $pipe.task -or -not $pipe.task.IsCompleted) { continue }
        $count = 0
        if (-not $pipe.task.IsFaulted -and -not $pipe.task.IsCanceled) { $count = $pipe.task.Result }
        if ($count -le 0) { $pipe.task = $null; continue }
        $room = [Math]::Max([long]0, $run.cap - $pipe.kept.Length)
        $pipe.kept.Write($pipe.buffer, 0, [int][Math]::Min($room, [long]$count))
        if ($count -gt $room) { $pipe.cut = $true }
        $pipe.task = $pipe.stream.ReadAsync($pipe.buffer, 0, 65536)
    }
    if ($run.ended -lt 0 -and $run.clock.ElapsedMilliseconds -ge $run.timeout) {
        $run.late = $true
        Stop-Tree $run.process
        $run.ended = $run.clock.ElapsedMilliseconds
    }
    $open = @($run.pipes | Where-Object { $null -ne $_.task }).Count
    return ($run.ended -ge 0 -and ($open -eq 0 -or $run.clock.ElapsedMilliseconds - $run.ended -ge 500))
}

# Until one of these programs has something to say, or 20 ms have passed.
function Wait-Any($runs) {
    $tasks = [Threading.Tasks.Task[]]@($runs | ForEach-Object { $_.pipes } | Where-Object { $null -ne $_.task } | ForEach-Object { $_.task })
    if ($tasks.Count -eq 0) { [void]@($runs)[0].process.WaitForExit(20) } else { [void][Threading.Tasks.Task]::WaitAny($tasks, 20) }
}

# Starts a program and returns what there is to know of it while it runs.
function Start-Program([string]$program, [string]$arguments, [long]$timeout, [long]$cap) {
    if (-not $program.EndsWith('.exe', [StringComparison]::OrdinalIgnoreCase)) { Stop-Operation 'BadRequest' "$program is no .exe" }
    if (-not [IO.File]::Exists($program)) { Stop-Operation 'NotFound' "there is no $program" }
    $start = New-Object Diagnostics.ProcessStartInfo($program, $arguments)
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $start.WorkingDirectory = [IO.Path]::GetDirectoryName($program)
    try { $process = [Diagnostics.Process]::Start($start) }
    catch {
        $problem = $_.Exception
        while ($null -ne $problem.InnerException) { $problem = $problem.InnerException }
        Stop-Operation 'StartFailed' $problem.Message
    }
    $process.StandardInput.Close()
    $pipes = @()
    foreach ($stream in $process.StandardOutput.BaseStream, $process.StandardError.BaseStream) {
        $buffer = New-Object byte[] 65536
        $pipes += @{ stream = $stream; buffer = $buffer; kept = (New-Object IO.MemoryStream); cut = $false; task = $stream.ReadAsync($buffer, 0, 65536) }
    }
    return @{
        process = $process; pipes = $pipes; clock = [Diagnostics.Stopwatch]::StartNew(); ended = [long]-1; late = $false
        timeout = $timeout; cap = $cap
    }
}

# The outcome of a program that is done, in $result; returns stdout as Latin-1 text.
function Complete-Program($run, $result) {
    $result.timed_out = $run.late
    $result.truncated = ($run.pipes[0].cut -or $run.pipes[1].cut)
    $out = $run.pipes[0].kept.ToArray()
    $result.stdout = [Convert]::ToBase64String($out)
    $result.stderr = [Convert]::ToBase64String($run.pipes[1].kept.ToArray())
    $result.exit = $null
    if ($run.process.HasExited) { $result.exit = $run.process.ExitCode }
    $run.process.Dispose()
    return $latin1.GetString($out)
}

# One run of a program from start to end.
function Invoke-Program($operation, $result, [long]$timeout) {
    $run = Start-Program (Get-FullPath $operation.program) ([string]$operation.arguments) $timeout ([long]$operation.output_cap)
    while (-not (Test-Done $run)) { Wait-Any @($run) }
    return Complete-Program $run $result
}

function Test-Pattern([string]$text, [string]$pattern) {
    try { return [regex]::IsMatch($text, $pattern, [Text.RegularExpressions.RegexOptions]::None, [TimeSpan]::FromSeconds(5)) }
    catch [ArgumentException] { Stop-Operation 'BadRequest' "$pattern is no pattern" }
}

function Invoke-Exec($operation, $result) {
    $text = Invoke-Program $operation $result ([long]$operation.timeout_ms)
    $outputs[[string]$operation.id] = $text
    if ($result.timed_out) { Stop-Operation 'Timeout' "it was still running after $($operation.timeout_ms) ms and was ended" }
    $exits = Get-Field $operation 'exits' $null
    if ($null -ne $exits -and @($exits) -notcontains $result.exit) { Stop-Operation 'ExitCode' "it exited with $($result.exit)" }
    foreach ($pattern in Get-List $operation 'match') {
        if (-not (Test-Pattern $text $pattern)) { Stop-Operation 'NoMatch' "its output does not match $pattern" }
    }
}

function Invoke-Until($operation, $result) {
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $result.tries = 0
    while ($true) {
        $left = [Math]::Min([long]$operation.deadline_ms - $clock.ElapsedMilliseconds, $slice - $batchClock.ElapsedMilliseconds)
        $result.tries += 1
        $longest = [long]$operation.timeout_ms
        if ($result.tries -gt 1) { $longest = [Math]::Min($longest, [Math]::Max([long]1000, $left)) }
        $text = Invoke-Program $operation $result $longest
        $outputs[[string]$operation.id] = $text
        if (-not $result.timed_out -and (Test-Pattern $text $operation.pattern)) { return }
        if ($clock.ElapsedMilliseconds + $operation.interval_ms -ge $operation.deadline_ms) {
            Stop-Operation 'Deadline' "nothing matched $($operation.pattern) within $($operation.deadline_ms) ms"
        }
        if ($batchClock.ElapsedMilliseconds + $operation.interval_ms -ge $slice) {
            Stop-Operation 'SliceOver' "nothing matched $($operation.pattern) before the slice was over"
        }
        [Threading.Thread]::Sleep([int]$operation.interval_ms)
    }
}

# The same program for each match of a pattern in another operation's output, several at a time. Only digits are ever put in.
function Invoke-Each($operation, $result) {
    $found = @()
    if ($outputs.ContainsKey([string]$operation.over)) {
        $options = [Text.RegularExpressions.RegexOptions]::None
        $found = @([regex]::Matches($outputs[[string]$operation.over], $operation.pattern, $options, [TimeSpan]::FromSeconds(5)) |
                ForEach-Object { $_.Groups[1].Value } | Where-Object { $_ -cmatch '\A[0-9]{1,9}\z' })
    }
    $program = Get-FullPath $operation.program
    $waiting = New-Object Collections.Queue(, [object[]]$found)
    $running = New-Object Collections.ArrayList
    $runs = New-Object Collections.ArrayList
    while ($waiting.Count -gt 0 -or $running.Count -gt 0) {
        while ($waiting.Count -gt 0 -and $running.Count -lt 8) {
            $key = [string]$waiting.Dequeue()
            $run = Start-Program $program ([string]$operation.arguments).Replace('{1}', $key) ([long]$operation.timeout_ms) ([long]$operation.output_cap)
            $run.key = $key
            [void]$running.Add($run)
        }
        foreach ($run in $running.ToArray()) {
            if (-not (Test-Done $run)) { continue }
            $entry = @{ key = $run.key }
            [void](Complete-Program $run $entry)
            [void]$runs.Add($entry)
            $running.Remove($run)
        }
        if ($running.Count -gt 0) { Wait-Any $running.ToArray() }
    }
    $result.runs = $runs.ToArray()
}

function Invoke-Pause($operation, $result) {
    $left = [Math]::Min([long]$operation.ms, [Math]::Max([long]0, $slice - $batchClock.ElapsedMilliseconds))
    [Threading.Thread]::Sleep([int]$left)
    if ($left -lt [long]$operation.ms) { Stop-Operation 'SliceOver' 'the slice was over before the pause was' }
}

# ---- read, write, remove ------------------------------------------------------------------------------------------------------------
# Sharing violations (a scanner, LDPlayer itself) pass by: five tries within two seconds.
function Invoke-Patiently([scriptblock]$work) {
    for ($try = 1; ; $try++) {
        try { return , (& $work) }
        catch {
            if ($try -ge 5 -or (Get-Failure $_).code -ne 'Locked') { throw }
            [Threading.Thread]::Sleep(100 * $try)
        }
    }
}

function Read-Bytes([string]$path) {
    $stream = [IO.File]::Open($path, 'Open', 'Read', 'ReadWrite, Delete')
    try {
        $held = New-Object IO.MemoryStream
        $stream.CopyTo($held)
        return , $held.ToArray()
    }
    finally { $stream.Dispose() }
}

function Invoke-Read($operation, $result) {
    $folder = Get-FullPath $operation.folder
    $result.exists = [IO.Directory]::Exists($folder)
    $result.files = @()
    if (Get-Field $operation 'space' $false) { $result.free_bytes = Get-FreeSpace $folder }
    if (Get-Field $operation 'folders' $false) { $result.folders = @() }
    if (Get-Field $operation 'link' $false) { $result.link = Get-LinkTarget $folder }
    if (-not $result.exists) { return }
    # Windows says of a link that it exists, also where what it leads to is gone.
    try { $paths = [IO.Directory]::GetFiles($folder) } catch [IO.DirectoryNotFoundException] { $result.exists = $false; return }
    $pattern = '\A' + [regex]::Escape($operation.pattern).Replace('\*', '.*').Replace('\?', '.') + '\z'
    $options = [Text.RegularExpressions.RegexOptions]'IgnoreCase, CultureInvariant, Singleline'
    $names = [string[]]@($paths | ForEach-Object { [IO.Path]::GetFileName($_) } |
            Where-Object { [regex]::IsMatch($_, $pattern, $options) })
    [Array]::Sort($names, [StringComparer]::Ordinal)
    $result.files = @($names | ForEach-Object { Get-FileEntry ([IO.Path]::Combine($folder, $_)) $operation })
    if (-not (Get-Field $operation 'folders' $false)) { return }
    $inner = [string[]]@([IO.Directory]::GetDirectories($folder) | ForEach-Object { [IO.Path]::GetFileName($_) } |
            Where-Object { [regex]::IsMatch($_, $pattern, $options) })
    [Array]::Sort($inner, [StringComparer]::Ordinal)
    $result.folders = @($inner | ForEach-Object { Get-FolderEntry ([IO.Path]::Combine($folder, $_)) })
}

function Get-FreeSpace([string]$path) {
    try { return (New-Object IO.DriveInfo((Get-RealRoot $path))).AvailableFreeSpace } catch [Exception] { return -1 }
}

# What a folder leads to that is a link (a junction, a symbolic link), as the link has it; empty for any other. PowerShell itself knows it as
# Target (5.1: a list, 7: a text); the .NET of 5.1 does not.
function Get-LinkTarget([string]$path) {
    try { $attributes = [IO.File]::GetAttributes($path) }
    catch [IO.IOException] { return '' }
    catch [UnauthorizedAccessException] { return '' }
    if (($attributes -band [IO.FileAttributes]::ReparsePoint) -eq 0) { return '' }
    foreach ($target in (Get-Field (New-Object IO.DirectoryInfo($path)) 'Target' '')) { return [string]$target }
    return ''
}

# The root of the drive where a folder's files lie: a link on the way may lead to another drive. Nothing where a volume without a letter is mounted, or
# links lead in a circle (Windows follows 63 in a path).
function Get-RealRoot([string]$path) {
    $links = 0
    for ($part = $path; $true; $part = $above) {
        $above = [IO.Path]::GetDirectoryName($part)
        if ([string]::IsNullOrEmpty($above)) { return [IO.Path]::GetPathRoot($part) }
        $target = Get-LinkTarget $part
        if ($target -eq '') { continue }
        $links += 1
        if ($links -gt 63 -or $target.StartsWith('Volume{')) { return '' }
        $above = [IO.Path]::Combine($above, $target)
    }
}

function Get-FolderEntry([string]$path) {
    $entry = @{ name = [IO.Path]::GetFileName($path); bytes = [long]0; modified_ms = [long]0 }
    # A link whose target is gone is still a folder of this one.
    try { $files = [IO.Directory]::GetFiles($path) } catch [IO.DirectoryNotFoundException] { return $entry }
    foreach ($file in $files) {
        $about = New-Object IO.FileInfo($file)
        $entry.bytes += $about.Length
        $entry.modified_ms = [Math]::Max($entry.modified_ms, (New-Object DateTimeOffset($about.LastWriteTimeUtc)).ToUnixTimeMilliseconds())
    }
    return $entry
}

function Read-Head([string]$path, [int]$count) {
    $stream = New-Object IO.FileStream($path, [IO.FileMode]::Open, [IO.FileAccess]::Read, ([IO.FileShare]::ReadWrite -bor [IO.FileShare]::Delete))
    try {
        $bytes = New-Object byte[] $count
        $length = $stream.Read($bytes, 0, $count)
        return [Convert]::ToBase64String($bytes, 0, $length)
    }
    finally { $stream.Dispose() }
}

function Get-FileEntry([string]$path, $operation) {
    $entry = @{ name = [IO.Path]::GetFileName($path); size = 0; modified_ms = 0 }
    try {
        $about = New-Object IO.FileInfo($path)
        $entry.size = $about.Length
        $entry.modified_ms = (New-Object DateTimeOffset($about.LastWriteTimeUtc)).ToUnixTimeMilliseconds()
        $head = Get-Field $operation 'head' 0
        if ($head -gt 0) { $entry.head = Invoke-Patiently { Read-Head $path $head } }
        if ($about.Length -gt $operation.max_bytes) { Stop-Operation 'TooLarge' "it has $($about.Length) bytes" }
        $bytes = Invoke-Patiently { , (Read-Bytes $path) }
        $entry.sha256 = Get-Hash $bytes
        if ($operation.content) { $entry.data = [Convert]::ToBase64String($bytes) }
    }
    catch { $entry.error = Get-Failure $_ }
    return $entry
}

# What is there now: its hash, or 'absent'. Stops the operation when that is not what was expected.
function Assert-Expected([string]$path, [string]$expect) {
    $now = 'absent'
    if ([IO.File]::Exists($path)) { $now = Get-Hash (Invoke-Patiently { , (Read-Bytes $path) }) }
    if ($expect -cne 'any' -and $expect -cne $now) {
        $failure = New-Object InvalidOperationException("$path is not what was expected")
        $failure.Data['code'] = 'Mismatch'
        $failure.Data['found'] = $now
        throw $failure
    }
    return $now
}

# A temporary file in the same folder, flushed to the disk, takes the place in one rename. File.Replace with a backup name leaves
# one of the two whole whatever happens (ReplaceFile's documentation); the target keeps its rights.
function Set-File([string]$path, [byte[]]$bytes, [bool]$parents) {
    $folder = [IO.Path]::GetDirectoryName($path)
    if ($parents) { [void][IO.Directory]::CreateDirectory($folder) }
    elseif (-not [IO.Directory]::Exists($folder)) { Stop-Operation 'NotFound' "there is no folder $folder" }
    $temporary = $path + '.' + $batch.id.Substring(0, 8) + '.tmp'
    $old = $path + '.' + $batch.id.Substring(0, 8) + '.old'
    try {
        $stream = [IO.File]::Open($temporary, 'Create', 'Write', 'None')
        try { $stream.Write($bytes, 0, $bytes.Length); $stream.Flush($true) } finally { $stream.Dispose() }
        if ([IO.File]::Exists($path)) {
            [void](Invoke-Patiently { [IO.File]::Replace($temporary, $path, $old, $true) })
            [void](Invoke-Patiently { [IO.File]::Delete($old) })
        }
        else { [void](Invoke-Patiently { [IO.File]::Move($temporary, $path) }) }
    }
    finally { if ([IO.File]::Exists($temporary)) { [IO.File]::Delete($temporary) } }
}

function Invoke-Write($operation, $result) {
    $path = Get-FullPath $operation.path
    try { $bytes = [Convert]::FromBase64String($operation.data) } catch [FormatException] { Stop-Operation 'BadRequest' 'the data is no base64' }
    $now = Assert-Expected $path $operation.expect
    $keep = [string](Get-Field $operation 'keep' '')
    if ($keep -ne '' -and $now -cne 'absent') { Set-File (Get-FullPath $keep) (Read-Bytes $path) $true }
    Set-File $path $bytes ([bool](Get-Field $operation 'parents' $false))
    $result.sha256 = Get-Hash $bytes
}

function Invoke-Remove($operation, $result) {
    $path = Get-FullPath $operation.path
    if ($operation.expect -ceq 'absent') { Stop-Operation 'BadRequest' 'what is absent cannot be removed' }
    if (Get-Field $operation 'tree' $false) { Remove-Tree $path $operation.expect $result; return }
    $result.existed = [IO.File]::Exists($path)
    if (-not $result.existed) { return }
    [void](Assert-Expected $path $operation.expect)
    [void](Invoke-Patiently { [IO.File]::Delete($path) })
}

# Of a folder that is a link, .NET removes the link and not what it leads to (learn.microsoft.com, Directory.Delete). One with a junction in it is left over
# by .NET before 8, and so by Windows PowerShell, with the junction gone (dotnet/runtime #86249).
function Remove-Tree([string]$path, [string]$expect, $result) {
    if ($expect -cne 'any') { Stop-Operation 'BadRequest' 'a folder has no hash to expect' }
    if ([IO.Path]::GetPathRoot($path).TrimEnd('\', '/') -eq $path.TrimEnd('\', '/')) { Stop-Operation 'BadRequest' "$path is a whole drive" }
    $result.existed = [IO.Directory]::Exists($path)
    if ($result.existed) { [void](Invoke-Patiently { [IO.Directory]::Delete($path, $true) }) }
}

function Invoke-Copy($operation, $result) {
    $from = Get-FullPath $operation.from
    $path = Get-FullPath $operation.path
    if (-not [IO.File]::Exists($from)) { Stop-Operation 'NotFound' "there is no $from" }
    [void](Assert-Expected $path $operation.expect)
    $bytes = Invoke-Patiently { , (Read-Bytes $from) }
    Set-File $path $bytes ([bool](Get-Field $operation 'parents' $false))
    $result.sha256 = Get-Hash $bytes
}

function Get-FileHash256([string]$path) {
    $stream = New-Object IO.FileStream($path, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::Read)
    try { return [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($stream)).Replace('-', '').ToLowerInvariant() }
    finally { $stream.Dispose() }
}

# The host pulls a file itself. What was left of a broken pull is gone on with; what has another hash than wanted never gets the name.
function Invoke-Fetch($operation, $result) {
    $path = Get-FullPath $operation.path
    $result.bytes = [long]0
    $result.resumed_from = [long]0
    if ([IO.File]::Exists($path) -and (Get-FileHash256 $path) -ceq $operation.sha256) {
        $result.bytes = (New-Object IO.FileInfo($path)).Length
        $result.fetched = $false
        return
    }
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
    $part = $path + '.part'
    try { Read-Web $operation $part $result }
    catch {
        $problem = $_.Exception
        while ($null -ne $problem.InnerException) { $problem = $problem.InnerException }
        if ($problem.Data.Contains('code') -or $problem -is [IO.IOException] -or $problem -is [UnauthorizedAccessException]) { throw }
        Stop-Operation 'FetchFailed' $problem.Message
    }
    $hash = Get-FileHash256 $part
    if ($hash -cne $operation.sha256) {
        [IO.File]::Delete($part)
        $failure = New-Object InvalidOperationException('what came has another hash than wanted')
        $failure.Data['code'] = 'Mismatch'
        $failure.Data['found'] = $hash
        throw $failure
    }
    if ([IO.File]::Exists($path)) { [IO.File]::Delete($path) }
    [IO.File]::Move($part, $path)
    $result.fetched = $true
}

function Read-Web($operation, [string]$part, $result) {
    # Windows PowerShell offers TLS 1.0 by default, which servers refuse.
    if ($PSVersionTable.PSEdition -ne 'Core') { [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12 }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $request = [Net.WebRequest]::Create([string]$operation.url)
    if (-not ($request -is [Net.HttpWebRequest])) { Stop-Operation 'BadRequest' 'only http and https addresses are fetched' }
    $request.Timeout = [int]$operation.timeout_ms
    $request.ReadWriteTimeout = [int][Math]::Min([long]60000, [long]$operation.timeout_ms)
    if ([IO.File]::Exists($part)) {
        $result.resumed_from = (New-Object IO.FileInfo($part)).Length
        if ($result.resumed_from -gt 0) { $request.AddRange([long]$result.resumed_from) }
    }
    try { $response = $request.GetResponse() }
    catch [Net.WebException] {
        $answer = $_.Exception.Response
        if ($null -eq $answer) { Stop-Operation 'FetchFailed' $_.Exception.Message }
        $status = [int]$answer.StatusCode
        $answer.Dispose()
        if ($status -eq 416) { [IO.File]::Delete($part); $result.resumed_from = [long]0 }
        $result.http_status = $status
        Stop-Operation 'HttpStatus' "the server answered $status"
    }
    try {
        $result.http_status = [int]$response.StatusCode
        $mode = [IO.FileMode]::Create
        if ($result.http_status -eq 206) { $mode = [IO.FileMode]::Append } else { $result.resumed_from = [long]0 }
        $source = $response.GetResponseStream()
        $target = New-Object IO.FileStream($part, $mode, [IO.FileAccess]::Write, [IO.FileShare]::None)
        try {
            $buffer = New-Object byte[] 262144
            while (($count = $source.Read($buffer, 0, $buffer.Length)) -gt 0) {
                $target.Write($buffer, 0, $count)
                if ($target.Length -gt [long]$operation.max_bytes) { Stop-Operation 'TooLarge' "it has more than $($operation.max_bytes) bytes" }
                if ($clock.ElapsedMilliseconds -gt [long]$operation.timeout_ms) { Stop-Operation 'Timeout' "it had not come after $($operation.timeout_ms) ms" }
            }
            $target.Flush($true)
            $result.bytes = $target.Length
        }
        finally { $target.Dispose() }
    }
    finally { $response.Dispose() }
}

# ---- lease --------------------------------------------------------------------------------------------------------------------------
# Who works on this host, until when by this host's clock. A lease that is over belongs to nobody: its holder died.
function Invoke-Lease($operation, $result) {
    $path = [IO.Path]::Combine([IO.Path]::Combine($env:ProgramData, 'ldfleet'), 'lease.json')
    $now = [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds()
    $lease = $null
    if ([IO.File]::Exists($path)) {
        try { $lease = ConvertFrom-Json -InputObject $utf8.GetString((Invoke-Patiently { , (Read-Bytes $path) })) }
        catch [ArgumentException] { $lease = $null }  # half a file: its writer died
    }
    $mine = ($null -ne $lease -and (Get-Field $lease 'token' '') -ceq $operation.token)
    if ($null -ne $lease -and -not $mine -and [long](Get-Field $lease 'until_ms' 0) -gt $now) {
        $result.holder = [string](Get-Field $lease 'holder' '')
        $result.until_ms = [long](Get-Field $lease 'until_ms' 0)
        Stop-Operation 'Held' 'another one holds the lease of this host'
    }
    if ($operation.action -ceq 'release') {
        if ($mine) { [IO.File]::Delete($path) }
        return
    }
    $result.until_ms = $now + [long]$operation.ms
    $text = ConvertTo-Text @{ token = [string]$operation.token; holder = [string]$operation.holder; until_ms = $result.until_ms }
    Set-File $path $utf8.GetBytes($text) $true
}

# ---- the batch ----------------------------------------------------------------------------------------------------------------------
$outputs = @{}
$invoke = @{
    find = ${function:Invoke-Find}; exec = ${function:Invoke-Exec}; until = ${function:Invoke-Until}; each = ${function:Invoke-Each}
    read = ${function:Invoke-Read}; write = ${function:Invoke-Write}; remove = ${function:Invoke-Remove}; copy = ${function:Invoke-Copy}
    fetch = ${function:Invoke-Fetch}; pause = ${function:Invoke-Pause}; lease = ${function:Invoke-Lease}
}

function Invoke-Operation($operation, $done) {
    $result = @{ id = $operation.id; status = 'ok'; ms = 0 }
    $needs = @(Get-List $operation 'needs')
    foreach ($field in 'program', 'path', 'folder', 'keep', 'from') {
        $name = Get-VariableName ([string](Get-Field $operation $field ''))
        if ($name -ne '' -and -not $variables.ContainsKey($name)) { $needs += $name }
    }
    foreach ($need in $needs) {
        if (-not $done.ContainsKey([string]$need) -or $done[[string]$need] -ne 'ok') {
            $result.status = 'skipped'
            $result.needs = [string]$need
            return $result
        }
    }
    if ($batchClock.ElapsedMilliseconds -ge $slice -and -not (Get-Field $operation 'always' $false)) {
        $result.status = 'deferred'
        return $result
    }
    $clock = [Diagnostics.Stopwatch]::StartNew()
    try { & $invoke[[string]$operation.op] $operation $result }
    catch {
        $result.status = 'failed'
        $result.error = Get-Failure $_
        $problem = $_.Exception
        while ($null -ne $problem.InnerException) { $problem = $problem.InnerException }
        if ($problem.Data.Contains('found')) { $result.found = $problem.Data['found'] }
    }
    $result.ms = $clock.ElapsedMilliseconds
    return $result
}

function Invoke-Batch {
    $done = @{}
    $results = New-Object Collections.ArrayList
    foreach ($operation in $batch.ops) {
        $result = Invoke-Operation $operation $done
        $done[[string]$operation.id] = $result.status
        [void]$results.Add($result)
    }
    return @{ replayed = $false; results = $results.ToArray() }
}

function Get-HostFacts {
    $pages = @{ ACP = 0; OEMCP = 0 }
    foreach ($page in 'ACP', 'OEMCP') {
        try { $pages[$page] = [int]@(Get-RegistryText 'HKLM\SYSTEM\CurrentControlSet\Control\Nls\CodePage' $page)[0] }
        catch { $pages[$page] = 0 }
    }
    return @{
        name = [Environment]::MachineName; time_ms = [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds(); acp = $pages.ACP; oemcp = $pages.OEMCP
        powershell = $PSVersionTable.PSVersion.ToString(); programdata = [string]$env:ProgramData
        place = $place; desktop_user = $desktopUser
    }
}

# ---- at most once -------------------------------------------------------------------------------------------------------------------
function New-HostMutex {
    $name = 'Global\ldfleet-' + (Get-Hash $utf8.GetBytes(([string]$env:ProgramData).ToLowerInvariant())).Substring(0, 16)
    if ($PSVersionTable.PSEdition -eq 'Core') { return New-Object Threading.Mutex($false, $name) }
    # Windows PowerShell: without these rights a second account could not even open the mutex of the first.
    $users = New-Object Security.Principal.SecurityIdentifier('S-1-5-11')
    $security = New-Object Security.AccessControl.MutexSecurity
    $security.AddAccessRule((New-Object Security.AccessControl.MutexAccessRule($users, 'Synchronize, Modify', 'Allow')))
    $created = $false
    return [Threading.Mutex]::new($false, $name, [ref]$created, $security)
}

function Invoke-Once([string]$folder) {
    $final = [IO.Path]::Combine($folder, $batch.id + '.json')
    $claim = [IO.Path]::Combine($folder, $batch.id + '.claim')
    if ([IO.File]::Exists($final)) {
        $answer = ConvertFrom-Json -InputObject $utf8.GetString((Read-Bytes $final))
        return @{ replayed = $true; results = @($answer.results) }
    }
    if ([IO.File]::Exists($claim)) { return @{ error = (New-Failure 'Interrupted' 'this batch was begun before, and left no result') } }
    try {
        [void][IO.Directory]::CreateDirectory($folder)
        [IO.File]::Open($claim, 'CreateNew').Dispose()
    }
    catch { return @{ error = (New-Failure 'ResultFolder' "$folder cannot be written: $((Get-Failure $_).message)") } }
    Remove-OldResults $folder
    $answer = Invoke-Batch
    Add-JournalLine $answer
    try {
        Set-File $final $utf8.GetBytes((ConvertTo-Text @{ results = $answer.results })) $false
        [IO.File]::Delete($claim)
    }
    catch { return $answer }  # the work is done: the reply says so even where it cannot be kept
    return $answer
}

# One line for each batch with effects: when, what the controller notes of it, and how each operation ended. The file is cut to its newer half
# when it grows beyond a megabyte. A journal that cannot be written changes nothing of what was done.
function Add-JournalLine($answer) {
    if ($null -eq $batch.note) { return }
    $path = [IO.Path]::Combine([IO.Path]::Combine($env:ProgramData, 'ldfleet'), 'journal.jsonl')
    $ended = @{}
    foreach ($result in $answer.results) {
        $ended[[string]$result.id] = $result.status
        if ($result.status -eq 'failed') { $ended[[string]$result.id] = $result.error.code }
    }
    $line = ConvertTo-Text @{ time_ms = [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds(); id = $batch.id; note = $batch.note; ended = $ended }
    try {
        if ([IO.File]::Exists($path) -and (New-Object IO.FileInfo($path)).Length -gt 1048576) {
            $lines = [IO.File]::ReadAllLines($path)
            [IO.File]::WriteAllLines($path, [string[]]@($lines[[int]($lines.Length / 2)..($lines.Length - 1)]))
        }
        [IO.File]::AppendAllText($path, $line + "`n")
    }
    catch [IO.IOException] { return }
    catch [UnauthorizedAccessException] { return }
}

function Remove-OldResults([string]$folder) {
    $limit = [DateTime]::UtcNow.AddDays(-1)
    $left = 200
    foreach ($path in [IO.Directory]::GetFiles($folder)) {
        if ($left -le 0) { return }
        if ([IO.File]::GetLastWriteTimeUtc($path) -lt $limit) {
            try { [IO.File]::Delete($path); $left -= 1 } catch { $left -= 1 }
        }
    }
}

function Invoke-Locked {
    if (-not $batch.once) { return Invoke-Guarded { Invoke-Batch } }
    return Invoke-Guarded { Invoke-Once ([IO.Path]::Combine([IO.Path]::Combine($env:ProgramData, 'ldfleet'), 'results')) }
}

function Invoke-Guarded([scriptblock]$work) {
    $mutex = New-HostMutex
    $owned = $false
    try {
        # An abandoned mutex is ours: its owner died, and what it began shows as a claim without a result.
        try { $owned = $mutex.WaitOne([int]$batch.lock_ms) } catch [Threading.AbandonedMutexException] { $owned = $true }
        if (-not $owned) { return @{ error = (New-Failure 'Busy' "the host was not free within $($batch.lock_ms) ms") } }
        $batchClock.Reset()
        $batchClock.Start()
        return & $work
    }
    finally {
        if ($owned) { $mutex.ReleaseMutex() }
        $mutex.Dispose()
    }
}

# ---- the answer ---------------------------------------------------------------------------------------------------------------------
function ConvertTo-Text($value) {
    $text = ConvertTo-Json -InputObject $value -Depth 20 -Compress
    return [regex]::Replace($text, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
}

function Write-Answer([string]$id, $answer) {
    $answer.protocol = 1
    $answer.id = $id
    $answer.host = Get-HostFacts
    $text = ConvertTo-Text $answer
    if ($text.Length -gt 20000) {
        $held = New-Object IO.MemoryStream
        $zip = New-Object IO.Compression.GZipStream($held, [IO.Compression.CompressionMode]::Compress)
        $bytes = [Text.Encoding]::ASCII.GetBytes($text)
        $zip.Write($bytes, 0, $bytes.Length)
        $zip.Dispose()
        $text = [Convert]::ToBase64String($held.ToArray())
    }
    "#ldfleet-begin $id#" + $text + "#ldfleet-end $id#"
}

# The batch, or nothing when the request holds none that can be read.
function Get-Batch {
    if ($null -ne $request.PSObject.Properties['batch']) { return $request.batch }
    try {
        $held = New-Object IO.MemoryStream(, [Convert]::FromBase64String([string](Get-Field $request 'packed' '')))
        $zip = New-Object IO.Compression.GZipStream($held, [IO.Compression.CompressionMode]::Decompress)
        $plain = New-Object IO.MemoryStream
        $zip.CopyTo($plain)
        return ConvertFrom-Json -InputObject $utf8.GetString($plain.ToArray())
    }
    catch { return $null }
}

# ---- the desktop --------------------------------------------------------------------------------------------------------------------
# Remote shells work in session 0: what they start has no desktop and dies with them, and LDPlayer's quit does not reach an emulator of the
# desktop. So the batch is handed to a scheduled task with the interactive token of the user who is logged on.
function Invoke-Tool([string]$name, [string]$arguments) {
    $run = Start-Program ([IO.Path]::Combine([IO.Path]::Combine($env:SystemRoot, 'System32'), $name)) $arguments 60000 1048576
    while (-not (Test-Done $run)) { Wait-Any @($run) }
    $result = @{}
    $text = Complete-Program $run $result
    return @{ text = $text; exit = $result.exit }
}

# Whose Explorer runs in a session with a desktop: tasklist names its user (the columns stand fixed, their titles are localised).
function Get-DesktopUser {
    $said = (Invoke-Tool 'tasklist.exe' '/FI "IMAGENAME eq explorer.exe" /V /FO CSV /NH').text
    foreach ($line in $said.Split([char]10)) {
        $columns = @($line.Trim().Trim('"') -split '","')
        if ($columns.Count -ge 9 -and $columns[0] -eq 'explorer.exe' -and $columns[3] -match '\A[1-9][0-9]*\z' -and $columns[6].Contains('\')) { return $columns[6] }
    }
    return ''
}

# The security identifier says the same in every language; where it cannot be had, the name must do.
function Get-Account([string]$user) {
    try { return (New-Object Security.Principal.NTAccount($user)).Translate([Security.Principal.SecurityIdentifier]).Value }
    catch [Exception] { return $user }
}

function Get-TaskXml([string]$account, [string]$script) {
    $user = [Security.SecurityElement]::Escape($account)
    $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($script))
    $program = '%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe'
    # Defaults that would hurt: not on battery, below-normal priority (emulators inherit it), an end after three days.
    return '<?xml version="1.0" encoding="UTF-16"?><Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">' +
    "<Principals><Principal id=`"Author`"><UserId>$user</UserId><LogonType>InteractiveToken</LogonType><RunLevel>HighestAvailable</RunLevel>" +
    '</Principal></Principals><Settings><MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>' +
    '<DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries><StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>' +
    '<AllowStartOnDemand>true</AllowStartOnDemand><Hidden>true</Hidden><ExecutionTimeLimit>PT0S</ExecutionTimeLimit><Priority>5</Priority>' +
    "</Settings><Actions Context=`"Author`"><Exec><Command>$program</Command><Arguments>-NoProfile -NonInteractive -ExecutionPolicy Bypass " +
    "-WindowStyle Hidden -EncodedCommand $encoded</Arguments></Exec></Actions></Task>"
}

# What the task runs: the same agent with the same batch, its answer put beside the request by rename.
function Get-TaskScript([string]$name) {
$lines = @(
        '#ldfleet-desktop 1',
        ('$folder=[IO.Path]::Combine($env:ProgramData,"ldfleet","desktop","' + $name + '")'),
        '[IO.File]::WriteAllText([IO.Path]::Combine($folder,"pid.txt"),"$PID;")',
        '$request=ConvertFrom-Json -InputObject ([IO.File]::ReadAllText([IO.Path]::Combine($folder,"request.json")))',
        '$text=& ([ScriptBlock]::Create($request.agent)) $request',
        '[IO.File]::WriteAllText([IO.Path]::Combine($folder,"answer.tmp"),[string]$text)',
        '[IO.File]::Move([IO.Path]::Combine($folder,"answer.tmp"),[IO.Path]::Combine($folder,"answer.txt"))'
    )
    return $lines -join "`n"
}

# The folder is for administrators, the system and that user alone; ProgramData itself lets everybody make folders, so rights are set each time.
function New-DesktopFolder([string]$root, [string]$name, [string]$user, [string]$account) {
    [void][IO.Directory]::CreateDirectory($root)
    # Anybody may make this folder before the first run, or a link in its place; icacls would hand over what that leads to.
    if ((Get-LinkTarget $root) -ne '') { Stop-Operation 'TaskRefused' "$root is a link" }
    $who = $account
    if ($account.StartsWith('S-1-')) { $who = '*' + $account }
    $said = Invoke-Tool 'icacls.exe' "`"$root`" /setowner *S-1-5-32-544"
    if ($said.exit -eq 0) { $said = Invoke-Tool 'icacls.exe' "`"$root`" /inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F `"$($who):(OI)(CI)F`"" }
    if ($said.exit -ne 0) { Stop-Operation 'TaskRefused' "the rights of $root cannot be set: $($said.text.Trim())" }
    $folder = [IO.Path]::Combine([IO.Path]::Combine($root, 'desktop'), $name)
    [void][IO.Directory]::CreateDirectory($folder)
    return $folder
}

function Wait-Answer([string]$folder, [long]$limit) {
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $answer = [IO.Path]::Combine($folder, 'answer.txt')
    $begun = [IO.Path]::Combine($folder, 'pid.txt')
    $gone = [long]-1
    while (-not [IO.File]::Exists($answer)) {
        $id = 0
        if ([IO.File]::Exists($begun)) {
            $text = $utf8.GetString((Invoke-Patiently { , (Read-Bytes $begun) }))
            if ($text.EndsWith(';')) { $id = [int]$text.TrimEnd(';') }
        }
        if ($id -eq 0 -and $clock.ElapsedMilliseconds -gt 30000) {
            Stop-Operation 'TaskNotStarted' 'the task did not start within 30 s'
        }
        if ($id -ne 0) {
            try { ([Diagnostics.Process]::GetProcessById($id)).Dispose(); $gone = [long]-1 }
            catch [ArgumentException] { if ($gone -lt 0) { $gone = $clock.ElapsedMilliseconds } }
        }
        if (($gone -ge 0 -and $clock.ElapsedMilliseconds - $gone -gt 2000) -or $clock.ElapsedMilliseconds -gt $limit) {
            Stop-Operation 'Interrupted' 'the task ended without an answer; did the user log off?'
        }
        [Threading.Thread]::Sleep(50)
    }
    return [IO.File]::ReadAllText($answer)
}

function Remove-DesktopFolder([string]$folder) {
    $name = [IO.Path]::GetFileName($folder)
    [void](Invoke-Tool 'schtasks.exe' "/Delete /TN ldfleet-$name /F")
    try { [IO.Directory]::Delete($folder, $true) } catch [IO.IOException] { return } catch [UnauthorizedAccessException] { return }
}

function Invoke-OnDesktop([string]$user) {
    $root = [IO.Path]::Combine($env:ProgramData, 'ldfleet')
    $name = [Guid]::NewGuid().ToString('N')
    $account = Get-Account $user
    $folder = New-DesktopFolder $root $name $user $account
    $inner = @{ agent = $request.agent; desktop_user = $user; batch = $batch }
    [IO.File]::WriteAllText([IO.Path]::Combine($folder, 'request.json'), (ConvertTo-Text $inner))
    $xml = [IO.Path]::Combine($folder, 'task.xml')
    [IO.File]::WriteAllText($xml, (Get-TaskXml $account (Get-TaskScript $name)), [Text.Encoding]::Unicode)
    try {
        foreach ($step in "/Create /TN ldfleet-$name /XML `"$xml`" /F", "/Run /TN ldfleet-$name") {
            $said = Invoke-Tool 'schtasks.exe' $step
            if ($said.exit -ne 0) { Stop-Operation 'TaskRefused' "schtasks $($step.Split(' ')[0]) said: $($said.text.Trim())" }
        }
        $longest = [long]0
        foreach ($operation in @($batch.ops)) { $longest = [Math]::Max($longest, [long](Get-Field $operation 'timeout_ms' 0)) }
        return Wait-Answer $folder ([long]$batch.lock_ms + $slice + $longest + 60000)
    }
    finally {
        Remove-DesktopFolder $folder
        $limit = [DateTime]::UtcNow.AddDays(-1)
        foreach ($old in [IO.Directory]::GetDirectories([IO.Path]::Combine($root, 'desktop'))) {
            if ([IO.Directory]::GetLastWriteTimeUtc($old) -lt $limit) { Remove-DesktopFolder $old }
        }
    }
}

$place = 'direct'
$desktopUser = [string](Get-Field $request 'desktop_user' '')
if ($desktopUser -ne '') { $place = 'desktop' }
$batch = Get-Batch
$batchClock = New-Object Diagnostics.Stopwatch
$slice = [long]0
$batchId = [string](Get-Field $batch 'id' '')
$answer = $null
if ($batchId -cnotmatch '\A[0-9a-f]{32}\z') {
    $answer = @{ error = (New-Failure 'BadRequest' 'the batch has no id of 32 hexadecimal digits') }
    $batchId = ''
}
elseif ((Get-Field $batch 'protocol' 0) -ne 1) { $answer = @{ error = (New-Failure 'UnknownProtocol' 'this agent speaks protocol 1') } }
else {
    try {
        Assert-Batch $batch
        $slice = [long]$batch.slice_ms
        if ($place -eq 'direct' -and $batch.desktop -cne 'never') {
            $desktopUser = Get-DesktopUser
            if ($desktopUser -ne '') {
                Invoke-OnDesktop $desktopUser
                return
            }
            if ($batch.desktop -ceq 'require') { Stop-Operation 'NoSession' 'nobody is logged on at the desktop' }
        }
        $answer = Invoke-Locked
    }
    catch {
        $failure = Get-Failure $_
        if (@('BadRequest', 'UnknownOperation', 'NoSession', 'TaskRefused', 'TaskNotStarted', 'Interrupted') -notcontains $failure.code) { $failure = New-Failure 'AgentFault' "$_ $($_.ScriptStackTrace)" }
        $answer = @{ error = $failure }
    }
}
Write-Answer $batchId $answer
