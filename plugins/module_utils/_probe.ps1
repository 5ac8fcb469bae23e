#ldfleet-probe 1
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# Answers questions about a Windows host and changes nothing. What is asked stands in $ask (JSON), in a line that the controller puts below the first one;
# plugins/plugin_utils/_fleet/windows/questions.py writes it and reads the answers. Comments and indentation are left out on the way, since all of it travels in one
# command line, so no text here may go over several lines.
#
# Each question has an answer of its own, in a line of its own: what cannot be asked costs nothing but that answer, and when one hangs the earlier ones are
# told. No text is looked at that Windows translates. Windows PowerShell 5.1 and PowerShell 7; ASCII.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$PSDefaultParameterValues = @{}
# PowerShell 7 hands its own path of modules down to a Windows PowerShell that it starts, which then finds modules that are not for it.
$modules = [Environment]::GetEnvironmentVariable('PSModulePath', 'Machine')
if ($modules) { $env:PSModulePath = $modules }
$questions = ConvertFrom-Json -InputObject $ask
$clock = [Diagnostics.Stopwatch]::StartNew()

function Get-Cut([string]$text) {
    if ($text.Length -gt 1000) { return $text.Substring(0, 1000) }
    return $text
}

# A value as JSON can hold it: times in Unix seconds, bytes in hexadecimal digits, lists and texts not too long.
function ConvertTo-Plain($value) {
    if ($null -eq $value -or $value -is [bool]) { return $value }
    if ($value -is [DateTime]) { return [long]($value.ToUniversalTime() - (New-Object DateTime(1970, 1, 1))).TotalSeconds }
    if ($value -is [byte[]]) { return [BitConverter]::ToString($value, 0, [Math]::Min($value.Length, 250)).Replace('-', '') }
    if ($value -is [array]) {
        $list = @(for ($at = 0; $at -lt $value.Length -and $at -lt 64; $at++) { ConvertTo-Plain $value[$at] })
        return , $list
    }
    if ($value -is [ValueType] -and $value -isnot [char] -and $value -isnot [enum]) { return $value }
    return Get-Cut ([string]$value)
}

function Write-Answer([string]$id, [scriptblock]$work) {
    $answer = @{ id = $id }
    $began = $clock.ElapsedMilliseconds
    try { $answer.rows = @(@(& $work)[0..299]) } catch { $answer.error = Get-Cut $_.Exception.Message }
    $answer.ms = $clock.ElapsedMilliseconds - $began
    $text = ConvertTo-Json -InputObject $answer -Depth 8 -Compress
    $text = [regex]::Replace($text, '[^\x20-\x7e]', { param($match) '\u{0:x4}' -f [int][char]$match.Value })
    [Console]::Out.WriteLine("#ldfleet-fact $text #ldfleet-end")
}

# ---- registry -----------------------------------------------------------------------------------------------------------------------
function Open-Key([string]$key) { Get-Item -LiteralPath ('Registry::' + ($key -replace '^HKLM\\', 'HKEY_LOCAL_MACHINE\')) }

# A key with the values that are named, or with all of them. What may hold a password is told of, and never told.
function Read-Key([string]$key, $names) {
    $row = @{ key = $key; exists = $false; values = @() }
    try {
        $opened = Open-Key $key
        $there = @($opened.GetValueNames())
        if ($null -eq $names) { $names = @($there | Where-Object { $_ }) }
        $row.values = @(for ($at = 0; $at -lt $names.Count -and $at -lt 200; $at++) {
                $value = @{ name = $names[$at]; exists = $there -contains $names[$at] }
                if ($value.exists) {
                    $value.kind = [string]$opened.GetValueKind($value.name)
                    if ($value.name -notmatch 'passw|secret') {
                        $value.data = ConvertTo-Plain $opened.GetValue($value.name, $null, 'DoNotExpandEnvironmentNames')
                    }
                }
                $value
            })
        $row.exists = $true
        $opened.Close()
    }
    catch [Management.Automation.ItemNotFoundException] { return $row }
    catch {
        $row.exists = $null
        $row.error = Get-Cut $_.Exception.Message
    }
    return $row
}

Write-Answer 'registry' { foreach ($question in $questions.registry) { Read-Key $question[0] $question[1] } }

# ---- the shell itself, and WinRM's settings -----------------------------------------------------------------------------------------
Write-Answer 'powershell' {
    @{ version = [string]$PSVersionTable.PSVersion; edition = [string]$PSVersionTable.PSEdition; mode = [string]$ExecutionContext.SessionState.LanguageMode }
}

# Where the service does not run, the drive WSMan: would ask whether to start it.
Write-Answer 'wsman' {
    if ((Get-Service -Name WinRM).Status -ne 'Running') { throw 'the service WinRM does not run' }
    foreach ($name in $questions.wsman) { @{ name = $name; value = [string](Get-Item -LiteralPath "WSMan:\localhost\$name").Value } }
}

# ---- CIM ----------------------------------------------------------------------------------------------------------------------------
foreach ($query in $questions.cim) {
    Write-Answer $query.id {
        $words = @{ ClassName = $query.class; Property = @($query.take); OperationTimeoutSec = 15 }
        foreach ($word in 'namespace', 'filter') { if ($query.$word) { $words[$word] = $query.$word } }
        foreach ($found in @(Get-CimInstance @words)) {
            $row = @{}
            foreach ($name in $query.take) { $row[$name] = ConvertTo-Plain $found.$name }
            if ($query.owner) {
                $owner = Invoke-CimMethod -InputObject $found -MethodName GetOwner
                $row.owner = Get-Cut "$($owner.Domain)\$($owner.User)"
            }
            $row
        }
    }
}

# Names that no optional feature has may be those of a server's role.
Write-Answer 'roles' {
    if ($questions.roles.Count -and (Get-Command Get-WindowsFeature -ErrorAction SilentlyContinue)) {
        foreach ($role in @(Get-WindowsFeature -Name $questions.roles -ErrorAction SilentlyContinue)) { @{ name = $role.Name; installed = [bool]$role.Installed } }
    }
}

# ---- ports and firewall -------------------------------------------------------------------------------------------------------------
function Test-Port([int]$first, [int]$last) {
    foreach ($range in $questions.ports) { if ($first -le $range[1] -and $last -ge $range[0]) { return $true } }
    return $false
}

Write-Answer 'listeners' {
    foreach ($found in @(Get-NetTCPConnection -State Listen -ErrorAction SilentlyContinue)) {
        if (Test-Port $found.LocalPort $found.LocalPort) {
            $process = Get-Process -Id $found.OwningProcess -ErrorAction SilentlyContinue
            @{
                port = [int]$found.LocalPort; address = [string]$found.LocalAddress; pid = [int]$found.OwningProcess
                process = Get-Cut $process.ProcessName; path = Get-Cut $process.Path
            }
        }
    }
}

# Rules as the registry keeps them: Get-NetFirewallRule takes many seconds for what these two keys hold. Told are those that were asked for by name, and
# those that are about one of the ports, or about all ports of everything or of a program that LDPlayer brings.
function Test-Rule([string]$rule) {
    if ($rule -notmatch '\|Active=TRUE\|' -or $rule -notmatch '\|Dir=In\|') { return $false }
    if ($rule -match '\|Protocol=(\d+)\|' -and $Matches[1] -ne '6') { return $false }
    $ports = [regex]::Matches($rule, '\|LPort(?:2_10)?=(\d{1,5})(?:-(\d{1,5}))?(?=\|)')
    foreach ($port in $ports) {
        $last = if ($port.Groups[2].Success) { $port.Groups[2].Value } else { $port.Groups[1].Value }
        if (Test-Port $port.Groups[1].Value $last) { return $true }
    }
    if ($rule -match '\|LPort') { return $false }
    return $rule -match '\|App=[^|]*(?:\\adb\.exe|ldplayer|leidian|dnplayer)' -or $rule -notmatch '\|(?:App|Svc|AppPkgId|LUOwn|PFN)='
}

Write-Answer 'rules' {
    foreach ($key in $questions.rule_keys) {
        try { $opened = Open-Key $key } catch [Management.Automation.ItemNotFoundException] { continue }
        foreach ($name in @($opened.GetValueNames())) {
            $rule = [string]$opened.GetValue($name)
            $asked = $questions.rule_names -contains $name -or ($rule -match '\|Name=([^|]*)\|' -and $questions.rule_names -contains $Matches[1])
            if ($asked -or (Test-Rule $rule)) { @{ name = Get-Cut $name; rule = Get-Cut $rule; asked = $asked } }
        }
        $opened.Close()
    }
}

# ---- LDPlayer -----------------------------------------------------------------------------------------------------------------------
Write-Answer 'ldplayer' {
    $users = (Open-Key 'HKEY_USERS').GetSubKeyNames()
    $hives = @($users | ForEach-Object { "HKEY_USERS\$_\SOFTWARE" }) + 'HKLM\SOFTWARE', 'HKLM\SOFTWARE\WOW6432Node'
    foreach ($hive in $hives) {
        foreach ($key in $questions.ldplayer) {
            $row = Read-Key "$hive\$key" @('InstallDir', 'DataDir')
            $folder = [string]$row.values[0].data
            if ($folder) {
                $data = [string]$row.values[1].data
                $vms = [IO.Path]::Combine($folder, 'vms')
                $linked = [IO.Directory]::Exists($vms) -and ([IO.File]::GetAttributes($vms) -band [IO.FileAttributes]::ReparsePoint)
                # Windows says of a junction that it exists, also where what it leads to is gone; of that folder it does not.
                $link = if ($linked) { [string](New-Object IO.DirectoryInfo($vms)).Target } else { '' }
                $player = [IO.Path]::Combine($folder, 'dnplayer.exe')
                $version = if ([IO.File]::Exists($player)) { [Diagnostics.FileVersionInfo]::GetVersionInfo($player).FileVersion }
                @{
                    key = $row.key; folder = $folder; data = $data; version = Get-Cut $version
                    folder_there = [IO.Directory]::Exists($folder); data_there = $data -and [IO.Directory]::Exists($data)
                    link = $link; link_there = $link -and [IO.Directory]::Exists($link)
                    console_there = [IO.File]::Exists([IO.Path]::Combine($folder, 'ldconsole.exe')) -or [IO.File]::Exists([IO.Path]::Combine($folder, 'dnconsole.exe'))
                }
            }
        }
    }
}
