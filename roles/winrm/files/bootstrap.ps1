# ldfleet bootstrap: lets the controllers of a fleet into this Windows machine. docs/guides/bootstrap.md tells of it.
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# In an elevated PowerShell (Windows PowerShell 5.1 or PowerShell 7), pasted, or kept in a file:
#   powershell -ExecutionPolicy Bypass -File bootstrap.ps1 -Check   says what it would change, and changes nothing
#   powershell -ExecutionPolicy Bypass -File bootstrap.ps1          says it, and does it; what is so already is left alone
#   powershell -ExecutionPolicy Bypass -File bootstrap.ps1 -Undo    takes back what it did, and only that (-Undo -Check says what that is)
#region winrm
# The password of a new account is asked for. Where nobody is there to ask, it is taken from the environment variable LDFLEET_PASSWORD.
#endregion
[CmdletBinding()] param([switch]$Check, [switch]$Undo, $Fleet)
# One block, so that nothing of it runs before all of it is pasted; then nobody has said $Check, $Undo and $Fleet.
& {
param([bool]$Check, [bool]$Undo, $fleet)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# What `ldfleet bootstrap` was told; it puts in this table. The roles winrm and ssh give one instead.
if ($null -eq $fleet) {
#region settings
$fleet = @{ Account = ''; Port = 0; Controllers = @(); Names = @(); Thumbprint = ''; Key = ''; Variables = @() }
#endregion
}

#region winrm
$way = 'winrm'
$service = 'WinRM'
$rule = 'ldfleet-winrm-https'
$closed = @('WINRM-HTTP-In-TCP*', 'WINRM-HTTP-Compat-In-TCP*')
# Windows takes the rights from a local administrator who comes over the network, unless this is 1.
$registry = @(@{
    Path = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'; Name = 'LocalAccountTokenFilterPolicy'; Kind = 'DWord'; Value = 1
    Says = 'local administrators keep their rights over the network (LocalAccountTokenFilterPolicy = 1)'
})
#endregion
#region ssh
$way = 'ssh'
$service = 'sshd'
$rule = 'ldfleet-ssh'
$closed = @('OpenSSH-Server-In-TCP*')
$registry = @(@{
    Path = 'HKLM:\SOFTWARE\OpenSSH'; Name = 'DefaultShell'; Kind = 'String'
    Value = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"; Says = 'SSH starts Windows PowerShell (DefaultShell)'
})
#endregion

# ---- what was done, so that it can be taken back ------------------------------------------------------------------------------------
$mark = 'ldfleet'
$administrators = 'S-1-5-32-544'
$parent = [IO.Path]::Combine($env:ProgramData, 'ldfleet')
$folder = [IO.Path]::Combine($parent, 'bootstrap')
$file = [IO.Path]::Combine($folder, "$way.json")
$state = New-Object Collections.ArrayList

# The administrators, the system, TrustedInstaller, as SDDL calls an owner (learn.microsoft.com: SID Strings, Well-known SIDs).
$trusted = '^O:(BA|SY|S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)(?![0-9-])'

function Test-Link([string]$path) { ([IO.File]::GetAttributes($path) -band [IO.FileAttributes]::ReparsePoint) -ne 0 }

# Anybody may make folders in ProgramData, this one too, and write notes there or lead elsewhere by a link; nobody can give away what he made.
function Test-Trusted([string]$path) {
    try { return -not (Test-Link $path) -and (Get-Acl -LiteralPath $path).Sddl -match $trusted }
    catch [UnauthorizedAccessException] { return $false }
}

function Read-State {
    $state.Clear()
    if (-not [IO.File]::Exists($file)) { return }
    if (Test-Link $parent) { Write-Host "$file is not believed: $parent is a link."; return }
    foreach ($path in @($folder, $file)) {
        if (Test-Trusted $path) { continue }
        Write-Host "$file is not believed: $path is a link, or belongs neither to the administrators nor to the system."
        return
    }
    $document = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($file))
    if ($document.version -ne 1) { throw "$file was written by another version of ldfleet bootstrap" }
    foreach ($record in @($document.done)) {
        $was = @{}
        foreach ($property in $record.was.PSObject.Properties) {
            $was[$property.Name] = $property.Value
            if ($property.Value -is [Array]) { $was[$property.Name] = @(foreach ($item in $property.Value) { $item }) }  # 5.1 writes its own wrappers
        }
        [void]$state.Add(@{ step = $record.step; was = $was })
    }
}

function Remove-Folder {
    foreach ($empty in @($folder, $parent)) {
        if ([IO.Directory]::Exists($empty) -and [IO.Directory]::GetFileSystemEntries($empty).Length -eq 0) { [IO.Directory]::Delete($empty) }
    }
}

# A step's record is written before the step is done: a machine that goes down in between still knows what to take back.
function Save-State {
    if ($state.Count -eq 0) {
        [IO.File]::Delete($file)
        Remove-Folder
        return
    }
    Write-Ours $file (ConvertTo-Json -InputObject @{ version = 1; done = @($state.ToArray()) } -Depth 6)
}

# A policy gives new files to the account that makes them, and not to the administrators ("System objects: Default owner for objects created by members of
# the Administrators group"). Which of both owners File.Replace leaves is not documented; so both are trusted ones.
function Write-Ours([string]$path, [string]$text) {
    [IO.File]::Delete("$path.new")
    [IO.File]::WriteAllText("$path.new", $text)
    if (-not (Test-Trusted "$path.new")) { Invoke-Icacls "$path.new" /setowner "*$administrators" }
    if ([IO.File]::Exists($path)) { [IO.File]::Replace("$path.new", $path, "$path.old"); [IO.File]::Delete("$path.old") }
    else { [IO.File]::Move("$path.new", $path) }
}

# Before it is written to, its rights are set anew, what others laid there goes, and the notes are read again: from then on nobody can change them. A folder
# that somebody else made goes whole, since who made it may hold it open. .NET removes a link, and not what it leads to.
function Open-Folder {
    try {
        if ([IO.Directory]::Exists($parent) -and (Test-Link $parent)) { throw "$parent is a link" }
        if ([IO.Directory]::Exists($folder) -and -not (Test-Trusted $folder)) { [IO.Directory]::Delete($folder, $true) }
        [void][IO.Directory]::CreateDirectory($folder)
        Set-Rights $folder '(OI)(CI)F'
        foreach ($path in [IO.Directory]::GetFileSystemEntries($folder)) { if (-not (Test-Trusted $path)) { Remove-Entry $path } }
    } catch {
        Remove-Folder
        throw "$folder cannot be had: $($_.Exception.Message). Nothing was changed; mend that and run this again."
    }
    Read-State
}

function Remove-Entry([string]$path) { if ([IO.Directory]::Exists($path)) { [IO.Directory]::Delete($path, $true) } else { [IO.File]::Delete($path) } }

function Find-Record([string]$step) { foreach ($record in $state) { if ($record.step -eq $step) { return $record } } }

# For administrators and the system alone. By identifiers, since names are translated.
function Set-Rights([string]$path, [string]$right) {
    Invoke-Icacls $path /setowner "*$administrators"
    Invoke-Icacls $path /reset
    Invoke-Icacls $path /inheritance:r /grant:r "*$($administrators):$right" "*S-1-5-18:$right"
}

function Invoke-Icacls {
    & icacls.exe @args | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls $($args -join ' ') ended with $LASTEXITCODE" }
}

# ---- how things are -----------------------------------------------------------------------------------------------------------------
function Test-Running { $found = Get-Service -Name $service -ErrorAction SilentlyContinue; $null -ne $found -and "$($found.Status)" -eq 'Running' }

# Get-LocalGroupMember fails, whatever is asked, where one member's domain is gone (PowerShell issues 2996 and 21617). ADSI tells each member by itself.
function Get-Entry($from) { New-Object -TypeName DirectoryServices.DirectoryEntry -ArgumentList (, $from) }
function Get-Identity($from) { [BitConverter]::ToString((Get-Entry $from).psbase.InvokeGet('objectSid')) }
function Test-Member([string]$account) {
    if ($null -eq (Get-LocalUser -Name $account -ErrorAction SilentlyContinue)) { return $false }
    $wanted = Get-Identity "WinNT://./$account,user"
    $path = "WinNT://./$((Get-LocalGroup -SID $administrators).Name),group"
    foreach ($member in @((Get-Entry $path).psbase.Invoke('Members'))) {
        try { if ((Get-Identity $member) -eq $wanted) { return $true } } catch { continue }  # one that tells nothing of itself is not the account
    }
    return $false
}

# Notes may be forged where the folder was open once: what they name is removed only where it says itself that it is ours.
function Test-Marked([string]$account) {
    $found = Get-LocalUser -Name $account -ErrorAction SilentlyContinue
    $null -ne $found -and $found.Description -like "$($mark):*"
}

function Get-Value($item) {
    $found = Get-ItemProperty -Path $item.Path -Name $item.Name -ErrorAction SilentlyContinue
    if ($null -eq $found) { return $null }  # said outright: 5.1 would write nothing at all as {}
    return $found.($item.Name)
}

function Get-OpenRules {
    foreach ($found in @(Get-NetFirewallRule -Name $closed -ErrorAction SilentlyContinue)) { if ("$($found.Enabled)" -eq 'True') { $found.Name } }
}

# The first and the last address of what was said or told. Windows tells 10.0.0.0/24 as 10.0.0.0/255.255.255.0 (NetworkingDsc issue 404); how it tells networks
# of IPv6 is not documented: a prefix, a range and capitals mean the same here. A word such as Any is no address, and stays.
function Get-Span([string]$said) {
    $start, $end = $said -split '-'
    $base, $width = $start -split '/'
    $address = $null
    if (-not [Net.IPAddress]::TryParse($base, [ref]$address)) { return $said }
    $first = $address.GetAddressBytes()
    $last = $address.GetAddressBytes()
    if ($null -ne $end) { $last = ([Net.IPAddress]$end).GetAddressBytes() }
    if ($null -ne $width) {
        $mask = if ($width -like '*.*') { ([Net.IPAddress]$width).GetAddressBytes() } else { Get-Mask $first.Length ([int]$width) }
        for ($at = 0; $at -lt $first.Length; $at++) { $first[$at] = $first[$at] -band $mask[$at]; $last[$at] = $first[$at] -bor (255 - $mask[$at]) }
    }
    return "$([BitConverter]::ToString($first)) to $([BitConverter]::ToString($last))"
}

function Get-Mask([int]$length, [int]$bits) {
    for ($at = 0; $at -lt $length; $at++) { 256 - [Math]::Pow(2, 8 - [Math]::Max(0, [Math]::Min(8, $bits - 8 * $at))) }
}

function Test-Rule {
    $found = Get-NetFirewallRule -Name $rule -ErrorAction SilentlyContinue
    if ($null -eq $found -or "$($found.Enabled)" -ne 'True' -or "$($found.Action)" -ne 'Allow') { return $false }
    $ports = @(($found | Get-NetFirewallPortFilter).LocalPort) -join ' '
    $open = @(@(($found | Get-NetFirewallAddressFilter).RemoteAddress) | ForEach-Object { Get-Span $_ })
    $wanted = @($fleet.Controllers | ForEach-Object { Get-Span $_ })
    return $ports -eq "$($fleet.Port)" -and @($wanted | Where-Object { $open -notcontains $_ }).Count -eq 0 -and
        @($open | Where-Object { $wanted -notcontains $_ }).Count -eq 0
}

function Get-Addresses {
    foreach ($found in @(Get-NetIPAddress -AddressFamily IPv4)) {
        if ($found.IPAddress -notlike '127.*' -and $found.IPAddress -notlike '169.254.*') { $found.IPAddress }
    }
}
#region winrm

# Everything by which a controller may call this machine.
function Get-Names {
    $domain = [Net.NetworkInformation.IPGlobalProperties]::GetIPGlobalProperties().DomainName
    $seen = @($env:COMPUTERNAME)
    if ($domain) { $seen += "$env:COMPUTERNAME.$domain" }
    foreach ($name in @(Get-Addresses) + $fleet.Names) { if ($seen -notcontains $name) { $seen += $name } }
    return $seen
}

# The given certificate, or the last one of this script's that is good for another month and for all names; $null where there is none.
function Find-Certificate {
    if ($fleet.Thumbprint) { return Get-Item -Path "Cert:\LocalMachine\My\$($fleet.Thumbprint)" -ErrorAction SilentlyContinue }
    $record = Find-Record 'certificate'
    if ($null -eq $record) { return }
    $names = Get-Names
    foreach ($made in @($record.was.made)) {
        $found = Get-Item -Path "Cert:\LocalMachine\My\$($made.thumbprint)" -ErrorAction SilentlyContinue
        if ($null -eq $found -or -not $found.HasPrivateKey -or $found.NotAfter -lt [DateTime]::Now.AddDays(30)) { continue }
        if (@($names | Where-Object { @($made.names) -notcontains $_ }).Count -eq 0) { return $found }
    }
}

function Get-PublicHalf($certificate) {
    $text = [Convert]::ToBase64String($certificate.RawData, 'InsertLineBreaks').Replace("`r", '')
    return "-----BEGIN CERTIFICATE-----`n$text`n-----END CERTIFICATE-----`n"
}

function Get-Listener {
    foreach ($found in @(Get-WSManInstance -ResourceURI 'winrm/config/Listener' -Enumerate)) {
        if ($found.Transport -eq 'HTTPS' -and $found.Address -eq '*') { return $found }
    }
}

$listening = @{ Address = '*'; Transport = 'HTTPS' }
function Get-Thumbprint($listener) { "$($listener.CertificateThumbprint)" -replace '[^0-9A-Fa-f]', '' }
function Get-Setting($item) { (Get-Item -Path "WSMan:\localhost\$($item.Path)").Value }
function Test-Setting($item) {
    $value = Get-Setting $item
    if ($item.Least) { return [long]$value -ge $item.Value }
    return $value -eq $item.Value
}
#endregion

# ---- the steps ----------------------------------------------------------------------------------------------------------------------
# Is: it is so already. Was: what to remember for Undo, asked once, before the first Do. Do may add to it.
$steps = @()
$steps += @{
    Name = 'account'; Item = $null; Says = "makes the local account $($fleet.Account)"; Back = 'removes the accounts that it made'
    Is = { $null -ne (Get-LocalUser -Name $fleet.Account -ErrorAction SilentlyContinue) }
    Was = { @{ accounts = @() } }
    Do = {
        param($item, $was)
        $was.accounts = @(@($was.accounts) + $fleet.Account)
        Save-State
        [void](New-LocalUser -Name $fleet.Account -Password $password -AccountNeverExpires -PasswordNeverExpires -UserMayNotChangePassword `
            -Description "$($mark): connects the controller")
    }
    Undo = {
        param($item, $was)
        foreach ($name in @($was.accounts)) { if (Test-Marked $name) { Remove-LocalUser -Name $name } }
    }
}
$steps += @{
    Name = 'administrators'; Item = $null; Says = "makes $($fleet.Account) an administrator of this machine"
    Back = 'takes the accounts out of the administrators that it made administrators'
    Is = { Test-Member $fleet.Account }
    Was = { @{ accounts = @() } }
    Do = {
        param($item, $was)
        $was.accounts = @(@($was.accounts) + $fleet.Account)
        Save-State
        try { Add-LocalGroupMember -SID $administrators -Member $fleet.Account }
        catch {
            if ($_.FullyQualifiedErrorId -notlike 'MemberExists*') { throw }
            $was.accounts = @($was.accounts | Where-Object { $_ -ne $fleet.Account })  # somebody else was faster
        }
    }
    Undo = {
        param($item, $was)
        $others = @($was.accounts | Where-Object { $_ -ne $fleet.Account -and -not (Test-Marked $_) })
        if ($others.Count -gt 0) { throw "the account $($others[0]) is not of this script's making; take it back with a script for that account" }
        foreach ($name in @($was.accounts)) { if (Test-Member $name) { Remove-LocalGroupMember -SID $administrators -Member $name } }
    }
}
#region ssh
$steps += @{
    Name = 'capability'; Item = $null; Says = "installs Windows' OpenSSH server"; Back = "removes Windows' OpenSSH server"
    Is = { "$((Get-WindowsCapability -Online -Name 'OpenSSH.Server*').State)" -eq 'Installed' }
    Was = { @{ name = (Get-WindowsCapability -Online -Name 'OpenSSH.Server*').Name } }
    Do = { [void](Add-WindowsCapability -Online -Name (Get-WindowsCapability -Online -Name 'OpenSSH.Server*').Name) }
    Undo = { param($item, $was) if ($was.name -like 'OpenSSH.Server*') { [void](Remove-WindowsCapability -Online -Name $was.name) } }
}
#endregion
foreach ($value in $registry) {
    $steps += @{
        Name = "registry $($value.Name)"; Item = $value; Says = $value.Says; Back = "$($value.Name) as it was"
        Is = { param($item) (Get-Value $item) -eq $item.Value }
        Was = { param($item) @{ value = Get-Value $item } }
        Do = {
            param($item)
            if (-not (Test-Path -Path $item.Path)) { [void](New-Item -Path $item.Path -Force) }
            [void](New-ItemProperty -Path $item.Path -Name $item.Name -Value $item.Value -PropertyType $item.Kind -Force)
        }
        Undo = {
            param($item, $was)
            if ((Get-Value $item) -ne $item.Value) { return }
            if ($null -eq $was.value) { Remove-ItemProperty -Path $item.Path -Name $item.Name }
            else { [void](New-ItemProperty -Path $item.Path -Name $item.Name -Value $was.value -PropertyType $item.Kind -Force) }
        }
    }
}
$steps += @{
    # Before the general rules go: a change of rules also ends what came in before it (learn.microsoft.com: ALE Reauthorization), and who came in at this
    # port shall see the end of this script.
    Name = 'firewall'; Item = $null; Says = "the firewall lets $($fleet.Controllers -join ', ') in at port $($fleet.Port), and nobody else (rule $rule)"
    Back = "removes the firewall rule $rule"
    Is = { Test-Rule }
    Was = { @{} }
    Do = {
        if ($null -ne (Get-NetFirewallRule -Name $rule -ErrorAction SilentlyContinue)) { Remove-NetFirewallRule -Name $rule }
        [void](New-NetFirewallRule -Name $rule -DisplayName "ldfleet ($way)" -Direction Inbound -Protocol TCP -LocalPort $fleet.Port `
            -RemoteAddress $fleet.Controllers -Action Allow -Profile Any)
    }
    Undo = { if ($null -ne (Get-NetFirewallRule -Name $rule -ErrorAction SilentlyContinue)) { Remove-NetFirewallRule -Name $rule } }
}
$steps += @{
    Name = 'closed'; Item = $null; Says = "switches off the firewall's own rules that let anybody in ($($closed -join ', '))"
    Back = 'switches the firewall rules on again that it switched off'
    Is = { $null -ne (Get-Service -Name $service -ErrorAction SilentlyContinue) -and @(Get-OpenRules).Count -eq 0 }
    Was = { @{ rules = @() } }
    Do = {
        param($item, $was)
        $was.rules = @(@($was.rules) + @(Get-OpenRules))
        Save-State
        foreach ($name in @(Get-OpenRules)) { Disable-NetFirewallRule -Name $name }
    }
    Undo = {
        param($item, $was)
        foreach ($name in @($was.rules)) { if (@($closed | Where-Object { $name -like $_ }).Count -gt 0) { Enable-NetFirewallRule -Name $name } }
    }
}
$steps += @{
    Name = 'service'; Item = $null; Says = "starts the service $service, now and with Windows"; Back = "the service $service as it was"
    Is = { (Test-Running) -and "$((Get-Service -Name $service).StartType)" -eq 'Automatic' }
    Was = { $found = Get-Service -Name $service; @{ running = Test-Running; start = "$($found.StartType)" } }
    Do = { Set-Service -Name $service -StartupType Automatic; Start-Service -Name $service }
    Undo = {
        param($item, $was)
        Set-Service -Name $service -StartupType $was.start
        if (-not $was.running) { Stop-Service -Name $service -Force }
    }
}
#region winrm
# No password in clear, and quotas that are raised where they are lower than Windows' documented ones, never lowered.
foreach ($setting in @(
        @{ Path = 'Service\AllowUnencrypted'; Value = 'false'; Least = $false }
        @{ Path = 'Service\Auth\Basic'; Value = 'false'; Least = $false }
        @{ Path = 'Service\Auth\Negotiate'; Value = 'true'; Least = $false }
        @{ Path = 'MaxEnvelopeSizekb'; Value = 500; Least = $true }
        @{ Path = 'Service\MaxConcurrentOperationsPerUser'; Value = 1500; Least = $true }
        @{ Path = 'Shell\MaxShellsPerUser'; Value = 30; Least = $true }
        @{ Path = 'Shell\MaxProcessesPerShell'; Value = 25; Least = $true }
        @{ Path = 'Shell\MaxMemoryPerShellMB'; Value = 1024; Least = $true })) {
    $wanted = if ($setting.Least) { "at least $($setting.Value)" } else { $setting.Value }
    $steps += @{
        Name = "setting $($setting.Path)"; Item = $setting; Says = "WinRM's $($setting.Path) is $wanted"; Back = "WinRM's $($setting.Path) as it was"
        Is = { param($item) (Test-Running) -and (Test-Setting $item) }
        Was = { param($item) @{ value = Get-Setting $item } }
        Do = { param($item) Set-Item -Path "WSMan:\localhost\$($item.Path)" -Value $item.Value -Force }
        Undo = {
            param($item, $was)
            if ((Get-Setting $item) -eq $item.Value) { Set-Item -Path "WSMan:\localhost\$($item.Path)" -Value $was.value -Force }
        }
    }
}
$steps += @{
    Name = 'certificate'; Item = $null; Says = "makes a certificate for $((Get-Names) -join ', '), good for five years"
    Back = 'removes the certificates that it made'
    Is = { $null -ne (Find-Certificate) }
    Was = { @{ made = @() } }
    Do = {
        param($item, $was)
        $names = Get-Names
        $address = $null
        $alternatives = foreach ($name in $names) { if ([Net.IPAddress]::TryParse($name, [ref]$address)) { "IPAddress=$name" } else { "DNS=$name" } }
        $made = New-SelfSignedCertificate -Subject "CN=$env:COMPUTERNAME" -TextExtension "2.5.29.17={text}$($alternatives -join '&')" `
            -CertStoreLocation 'Cert:\LocalMachine\My' -NotAfter ([DateTime]::Now.AddYears(5)) -FriendlyName "$mark WinRM"
        $was.made = @(@{ thumbprint = $made.Thumbprint; names = @($names) }) + @($was.made)
    }
    Undo = {
        param($item, $was)
        foreach ($made in @($was.made)) {
            $found = Get-Item -Path "Cert:\LocalMachine\My\$($made.thumbprint)" -ErrorAction SilentlyContinue
            if ($null -ne $found -and $found.FriendlyName -eq "$mark WinRM") { Remove-Item -Path "Cert:\LocalMachine\My\$($made.thumbprint)" -DeleteKey }
        }
    }
}
$public = [IO.Path]::Combine($folder, "$env:COMPUTERNAME.cer")
$steps += @{
    Name = 'public half'; Item = $null; Says = "writes the certificate's public half to $public"; Back = "removes $public"
    Is = {
        if ($fleet.Thumbprint) { return $true }
        $certificate = Find-Certificate
        $null -ne $certificate -and [IO.File]::Exists($public) -and [IO.File]::ReadAllText($public) -eq (Get-PublicHalf $certificate)
    }
    Was = { @{} }
    Do = { Write-Ours $public (Get-PublicHalf (Find-Certificate)) }
    Undo = { [IO.File]::Delete($public) }
}
$steps += @{
    Name = 'listener'; Item = $null; Says = "WinRM listens with HTTPS at port $($fleet.Port), with that certificate"; Back = "WinRM's HTTPS listener as it was"
    Is = {
        $certificate = Find-Certificate
        if (-not (Test-Running) -or $null -eq $certificate) { return $false }
        $found = Get-Listener
        $null -ne $found -and (Get-Thumbprint $found) -eq $certificate.Thumbprint -and "$($found.Port)" -eq "$($fleet.Port)" -and "$($found.Enabled)" -eq 'true'
    }
    Was = {
        $found = Get-Listener
        $before = $null
        if ($null -ne $found) {
            $before = @{
                Port = "$($found.Port)"; Hostname = "$($found.Hostname)"; CertificateThumbprint = Get-Thumbprint $found; Enabled = "$($found.Enabled)"
            }
        }
        @{ listener = $before; ours = @() }
    }
    Do = {
        param($item, $was)
        $certificate = Find-Certificate
        $was.ours = @(@($was.ours) + $certificate.Thumbprint)
        Save-State
        $values = @{
            Port = "$($fleet.Port)"; Hostname = $certificate.GetNameInfo('SimpleName', $false); CertificateThumbprint = $certificate.Thumbprint; Enabled = 'true'
        }
        if ($null -eq (Get-Listener)) { [void](New-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet $listening -ValueSet $values) }
        else { [void](Set-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet $listening -ValueSet $values) }
    }
    Undo = {
        param($item, $was)
        $found = Get-Listener
        if ($null -eq $found -or @($was.ours) -notcontains (Get-Thumbprint $found)) { return }
        if ($null -eq $was.listener) { Remove-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet $listening; return }
        $values = @{}
        foreach ($name in @('Port', 'Hostname', 'CertificateThumbprint', 'Enabled')) { $values[$name] = $was.listener.$name }
        [void](Set-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet $listening -ValueSet $values)
    }
}
#endregion
#region ssh
$keys = [IO.Path]::Combine($env:ProgramData, 'ssh', 'administrators_authorized_keys')
function Get-Keys { if ([IO.File]::Exists($keys)) { [IO.File]::ReadAllText($keys) -split '\r?\n' | Where-Object { $_.Trim() } } }
$steps += @{
    # sshd reads this file, and not the account's own, for all who are administrators; it refuses one that others may write.
    Name = 'key'; Item = $null; Says = "the controller's key opens this machine's administrators ($keys)"; Back = 'takes that key out again'
    Is = { @(Get-Keys) -ccontains $fleet.Key }
    Was = { @{ file = [IO.File]::Exists($keys); keys = @() } }
    Do = {
        param($item, $was)
        $was.keys = @(@($was.keys) + $fleet.Key)
        Save-State
        $fresh = -not [IO.File]::Exists($keys)
        [IO.File]::WriteAllText($keys, ((@(Get-Keys) + $fleet.Key) -join "`n") + "`n")
        if ($fresh) { Set-Rights $keys 'F' }
    }
    Undo = {
        param($item, $was)
        if (-not [IO.File]::Exists($keys)) { return }
        $left = @(Get-Keys | Where-Object { @($was.keys) -cnotcontains $_ })
        if ($left.Count -eq 0 -and -not $was.file) { [IO.File]::Delete($keys); return }
        [IO.File]::WriteAllText($keys, (@($left + '') -join "`n"))
    }
}
#endregion

# ---- passwords ----------------------------------------------------------------------------------------------------------------------
function New-Secret([string]$text) {
    $secret = New-Object Security.SecureString
    foreach ($letter in $text.ToCharArray()) { $secret.AppendChar($letter) }
    return $secret
}
#region winrm

function Read-Password {
    if ($env:LDFLEET_PASSWORD) { return New-Secret $env:LDFLEET_PASSWORD }
    Write-Host 'Nothing has been changed yet; Ctrl-C leaves it so.'
    $first = Read-Host -Prompt "A password for the new account $($fleet.Account)" -AsSecureString
    $second = Read-Host -Prompt 'Once more' -AsSecureString
    $texts = @(foreach ($secret in @($first, $second)) { (New-Object Net.NetworkCredential('', $secret)).Password })
    if (-not $texts[0]) { throw 'a password is wanted: Windows lets nobody in over the network without one; nothing has been changed' }
    if ($texts[0] -cne $texts[1]) { throw 'these are two different passwords; nothing has been changed' }
    return $first
}
#endregion
#region ssh

# Keys are what opens this account; nobody knows its password.
function Read-Password {
    $bytes = New-Object byte[] 36
    [Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($bytes)
    return New-Secret ([Convert]::ToBase64String($bytes) + 'aA1+')
}
#endregion

# ---- doing it, or taking it back ----------------------------------------------------------------------------------------------------
function Test-Before {
    $user = Get-LocalUser -Name $fleet.Account -ErrorAction SilentlyContinue
    if ($null -ne $user -and -not $user.Enabled) { throw "the account $($fleet.Account) is disabled: enable it, or choose another" }
    if (-not $fleet.Thumbprint) { return }
    $given = Get-Item -Path "Cert:\LocalMachine\My\$($fleet.Thumbprint)" -ErrorAction SilentlyContinue
    if ($null -eq $given) { throw "there is no certificate $($fleet.Thumbprint) in Cert:\LocalMachine\My" }
    if (-not $given.HasPrivateKey) { throw "the certificate $($fleet.Thumbprint) is there without its private key" }
    if ($given.NotAfter -lt [DateTime]::Now) { throw "the certificate $($fleet.Thumbprint) was good until $($given.NotAfter.ToString('yyyy-MM-dd'))" }
}

function Invoke-Step($step) {
    $record = Find-Record $step.Name
    if ($null -eq $record) {
        $record = @{ step = $step.Name; was = & $step.Was $step.Item }
        [void]$state.Add($record)
    }
    Save-State
    & $step.Do $step.Item $record.was
    Save-State
    if (-not (& $step.Is $step.Item)) { throw 'Windows reported no error, and yet it is not so' }
}

function Invoke-Undo {
    if ($state.Count -eq 0) { Write-Host "Nothing to take back: $file is not there."; return }
    $strange = @($state | Where-Object { @($steps | ForEach-Object { $_.Name }) -notcontains $_.step })
    if ($strange.Count -gt 0) { throw "$file has a step that this script does not know: $($strange[0].step)" }
    if (-not $Check) { Open-Folder }
    Write-Host "On $($env:COMPUTERNAME), this takes back:"
    for ($number = $state.Count - 1; $number -ge 0; $number--) {
        $step = @($steps | Where-Object { $_.Name -eq $state[$number].step })[0]
        Write-Host "  - $($step.Back)"
        if ($Check) { continue }
        try { & $step.Undo $step.Item $state[$number].was }
        catch { throw "'$($step.Name)' cannot be taken back: $($_.Exception.Message). What is left stands in $file; -Undo goes on from here." }
        $state.RemoveAt($number)
        Save-State
    }
    if ($Check) { Write-Host 'Nothing was changed (-Check).' } else { Write-Host 'All of it is taken back.' }
}

function Write-Outcome {
    Write-Host ''
    Write-Host 'For the fleet file:'
    foreach ($line in $fleet.Variables) { Write-Host $line }
    Write-Host 'hosts:'
    Write-Host "  $($env:COMPUTERNAME.ToLowerInvariant()): {ansible_host: $(@(Get-Addresses)[0])}"
    #region winrm
    Write-Host ''
    Write-Host "The certificate is $((Find-Certificate).Thumbprint)."
    if (-not $fleet.Thumbprint) { Write-Host "Add its public half, $public, to the file that ansible_winrm_ca_trust_path names." }
    #endregion
}

if (-not ((& whoami.exe /groups) -match 'S-1-16-(12288|16384)')) { throw 'this needs an elevated PowerShell: start one with "Run as administrator"' }
# In PowerShell 7 the modules of Windows PowerShell must do this: its own New-LocalUser fails there (PowerShell issue 21645).
if ($PSVersionTable.PSVersion.Major -gt 5) {
    Import-Module Microsoft.PowerShell.LocalAccounts -UseWindowsPowerShell -WarningAction SilentlyContinue
    #region ssh
    Import-Module Dism -UseWindowsPowerShell -WarningAction SilentlyContinue
    #endregion
}
Read-State
if ($Undo) { Invoke-Undo; return }
Test-Before
$todo = @($steps | Where-Object { -not (& $_.Is $_.Item) })
if ($todo.Count -eq 0) { Write-Host "On $($env:COMPUTERNAME), all is as it should be; nothing was changed."; Write-Outcome; return }
Write-Host "On $($env:COMPUTERNAME), this changes:"
foreach ($step in $todo) { Write-Host "  - $($step.Says)" }
if (-not (Test-Running)) { Write-Host "The service $service does not run, so some of that may be so already; it is left alone then." }
if ($Check) { Write-Host 'Nothing was changed (-Check).'; return }
$password = $null
if (@($todo | Where-Object { $_.Name -eq 'account' }).Count -gt 0) { $password = Read-Password }
Open-Folder
foreach ($step in $todo) {
    try { if (-not (& $step.Is $step.Item)) { Invoke-Step $step } }
    catch { throw "'$($step.Name)' failed: $($_.Exception.Message). What was done until then stands in $file; run this again, or with -Undo." }
}
Write-Host 'Done.'
Write-Outcome
} ([bool]$Check) ([bool]$Undo) $Fleet
